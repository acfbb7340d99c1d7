"""One batch of pairs through TRL's trainers and through ours: losses, gradients, and what TRL logs."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM

from benchmarks import shapes
from benchmarks.shapes import END, ids
from espalier.models.roles import Models, Role
from espalier.train.loop import Here
from espalier.trees.engine import Engine
from espalier.trees.tree import Branch, Field, Tree

VOCABULARY = shapes.SHAPES["tiny"]["vocab_size"]
LENGTHS = [(5 + 3 * i, 4 + i, 9 - i) for i in range(5)]  # of prompts, chosen and rejected answers: TRL pads
Gradient = dict[str, torch.Tensor]


def rows(lengths: list[tuple[int, int, int]]) -> list[dict[str, str]]:
    """Random words in these numbers."""
    draw = np.random.default_rng(0)

    def words(count: int) -> str:
        return " ".join(f"w{n}" for n in draw.integers(3, VOCABULARY, count))

    return [{"prompt": words(p), "chosen": f" {words(c)}", "rejected": f" {words(r)}"} for p, c, r in lengths]


def tree(row: dict[str, str], *, begin: tuple[int, ...] = ()) -> Tree:
    """The tokens TRL makes of a row: an end token after each answer and, in some trainers, a first token."""
    prompt = [*begin, *ids(row["prompt"])]
    branches = []
    for side in ("chosen", "rejected"):
        answer = [*ids(row[side]), END]
        mask = np.repeat([False, True], [len(prompt), len(answer)])
        branches.append(Branch(np.array(prompt + answer, np.int32), mask))
    index = {side: Field([i], index="completion") for i, side in enumerate(("chosen", "rejected"))}
    return Tree.of(branches, weight=1.0, **index)


def models(folder: Path) -> tuple[Any, Any]:
    """A policy, and the reference it has moved away from."""
    reference: Any = AutoModelForCausalLM.from_pretrained(shapes.saved("tiny", folder))
    policy = copy.deepcopy(reference)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return policy, reference


def trainer(kind: str, policy: Any, reference: Any, data: list[dict[str, str]], folder: Path, **options: Any) -> Any:
    """TRL's trainer over these rows, a policy of its own in it."""
    import trl
    import trl.experimental.cpo
    import trl.experimental.orpo
    from datasets import Dataset

    home = {"CPO": trl.experimental.cpo, "ORPO": trl.experimental.orpo}.get(kind, trl)
    plain = {"bf16": False, "use_cpu": True, "gradient_checkpointing": False, "report_to": [], "disable_tqdm": True}
    config = getattr(home, f"{kind}Config")
    return getattr(home, f"{kind}Trainer")(
        model=copy.deepcopy(policy),
        args=config(output_dir=str(folder), per_device_train_batch_size=len(data), **plain, **options),
        train_dataset=Dataset.from_list(data),
        processing_class=shapes.tokenizer(VOCABULARY),
        **({"ref_model": copy.deepcopy(reference)} if kind == "DPO" else {}),
    )


def theirs(
    kind: str, pair: tuple[Any, Any], data: list[dict[str, str]], folder: Path, **options: Any
) -> tuple[float, Gradient]:
    """Loss and gradients of TRL's trainer on one batch."""
    made = trainer(kind, *pair, data, folder, **options)
    loss = made.compute_loss(made.model, made.data_collator([made.train_dataset[i] for i in range(len(data))]))
    loss.backward()
    return loss.item(), gradients(made.model)


def ours(objective: Any, pair: tuple[Any, Any], trees: list[Tree]) -> tuple[float, Gradient]:
    """Loss and gradients of ours, in pieces of one or two rows."""
    policy = copy.deepcopy(pair[0])
    roles = Models(Role(Engine(policy)), reference=Role(Engine(copy.deepcopy(pair[1]))))
    forest = objective.prepare(trees, roles, Here(0, torch.Generator()))
    total = 0.0
    for piece in forest.split(50):
        loss = objective.loss(roles, piece).terms["loss"].total / forest.counts["loss"]
        loss.backward()
        total += loss.item()
    return total, gradients(policy)


def gradients(model: Any) -> Gradient:
    return {name: p.grad for name, p in model.named_parameters()}


def own(policy: Any, trees: list[Tree], *, prompt: bool = False) -> tuple[float, Gradient]:
    """The cross-entropy of all chosen tokens in one mean by the model's own forward, with the prompt's or without."""
    policy = copy.deepcopy(policy)
    total, count = torch.zeros(()), 0
    for path in [tree.branches[0] for tree in trees]:
        row = torch.from_numpy(path.ids).long()
        losses = torch.nn.functional.cross_entropy(policy(row[None]).logits[0, :-1], row[1:], reduction="none")
        kept = losses if prompt else losses[torch.from_numpy(path.mask[1:])]
        total, count = total + kept.sum(), count + len(kept)
    (total / count).backward()
    return (total / count).item(), gradients(policy)


def combined(*parts: tuple[float, tuple[float, Gradient]]) -> tuple[float, Gradient]:
    """A weighted sum of losses with their gradients."""
    loss = sum(weight * value for weight, (value, _) in parts)
    names = parts[0][1][1]
    return loss, {name: sum(weight * found[name] for weight, (_, found) in parts) for name in names}  # type: ignore[misc]
