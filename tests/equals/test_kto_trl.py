"""KTO's loss and gradients against TRL's trainer, in float32, with a policy that differs from its reference.

TRL pairs each prompt with the completion of the row before it in its batch, the first with the last one's; ours goes by
a hash. Rows handed over in that order meet the same completions in both. TRL leaves the weights to the user.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForCausalLM

from benchmarks import shapes
from benchmarks.ours import plant
from espalier.models.roles import Models, Role
from espalier.objectives.kto import KTO
from espalier.train.loop import Here
from espalier.train.unpaired import pairing
from espalier.trees.engine import Engine
from espalier.trees.tree import Field, Tree
from tests.equals import test_trl
from tests.equals.test_trl import ROWS

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")  # TRL and accelerate warn about themselves
rows = test_trl.rows


def trees_of(given: list[dict[str, Any]]) -> list[Tree]:
    planted = [plant({"prompt": row["prompt"], "chosen": row["completion"]}, "sft") for row in given]
    fields = [{"label": Field([row["label"]], "completion"), "weight": Field(1.0)} for row in given]
    return [Tree(tree.branches, more) for tree, more in zip(planted, fields, strict=True)]


def in_order(given: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows so that each one's mismatched completion is that of the row before."""
    other = pairing([tree.branches[0] for tree in trees_of(given)])
    order = [0]
    while len(order) < len(given):
        order.append(other[order[-1]])
    return [given[i] for i in order[::-1]]


def ours(objective: KTO, policy: Any, reference: Any, given: list[dict[str, Any]]) -> tuple[Any, ...]:
    models = Models(Role(Engine(policy)), reference=Role(Engine(reference)))
    forest = objective.prepare(trees_of(given), models, Here(0, torch.Generator()))
    total = 0.0
    for piece in forest.split(50):
        loss = objective.loss(models, piece).terms["loss"].total / forest.counts["loss"]
        loss.backward()
        total += loss.item()
    return total, float(forest["z0"][0]), {name: p.grad for name, p in policy.named_parameters()}


def theirs(policy: Any, reference: Any, given: list[dict[str, Any]], folder: Path, **options: Any) -> tuple[Any, ...]:
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer

    plain = {"bf16": False, "use_cpu": True, "gradient_checkpointing": False, "report_to": [], "disable_tqdm": True}
    made = KTOTrainer(
        model=policy,
        ref_model=reference,
        args=KTOConfig(output_dir=str(folder), per_device_train_batch_size=ROWS, **plain, **options),
        train_dataset=Dataset.from_list(given),
        processing_class=shapes.tokenizer(shapes.SHAPES["tiny"]["vocab_size"]),
    )
    loss = made.compute_loss(made.model, made.data_collator([made.train_dataset[i] for i in range(ROWS)]))
    loss.backward()
    gradients = {name: p.grad for name, p in made.model.named_parameters()}
    return loss.item(), made._metrics["eval"]["kl"][-1], gradients


@pytest.mark.parametrize(("seed", "clamped"), [(3, True), (4, False)])
def test_equals_trl_kto(rows: list[dict[str, str]], tmp_path: Path, seed: int, clamped: bool) -> None:
    reference: Any = AutoModelForCausalLM.from_pretrained(shapes.saved("tiny", tmp_path))
    policy = copy.deepcopy(reference)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    given = [{"prompt": r["prompt"], "completion": r["chosen"], "label": n % 3 != 0} for n, r in enumerate(rows)]
    given = in_order(given)
    options = {"beta": 0.2, "desirable_weight": 1.0, "undesirable_weight": 2.5}
    found = ours(KTO(**options), copy.deepcopy(policy), reference, given)
    wanted = theirs(policy, reference, given, tmp_path, **options)
    assert (found[1] == 0) == clamped
    assert_close(found, wanted, rtol=1e-4, atol=1e-5)  # float32 sums in another order
