"""The same loss and the same gradients as TRL's trainers, in float32, with a policy that differs from its reference."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForCausalLM

from benchmarks import lengths, shapes
from benchmarks.ours import plant
from espalier.models.roles import Models, Role
from espalier.objectives.dpo import DPO
from espalier.objectives.sft import SFT
from espalier.train.loop import Here
from espalier.trees.engine import Engine

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")  # TRL and accelerate warn about themselves
ROWS = 5


@pytest.fixture
def rows(tmp_path: Path) -> list[dict[str, str]]:
    """Rows of several lengths, so that TRL pads."""
    drawn = [(5 + 3 * i, 4 + i, 9 - i) for i in range(ROWS)]
    lengths.write(tmp_path / "rows.jsonl", drawn, shapes.SHAPES["tiny"]["vocab_size"])
    return lengths.read(tmp_path / "rows.jsonl")


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Any, Any]:
    """A policy, and the reference it has moved away from."""
    reference: Any = AutoModelForCausalLM.from_pretrained(shapes.saved("tiny", tmp_path))
    policy = copy.deepcopy(reference)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))
    return policy, reference


def peer(
    kind: str, policy: Any, reference: Any, rows: list[dict[str, str]], folder: Path, **options: Any
) -> tuple[float, dict[str, Any]]:
    """Loss and gradients of TRL's trainer on one batch."""
    import trl
    from datasets import Dataset

    trainer, config = getattr(trl, f"{kind}Trainer"), getattr(trl, f"{kind}Config")
    plain = {"bf16": False, "use_cpu": True, "gradient_checkpointing": False, "report_to": [], "disable_tqdm": True}
    made = trainer(
        model=policy,
        args=config(output_dir=str(folder), per_device_train_batch_size=ROWS, **plain, **options),
        train_dataset=Dataset.from_list(rows),
        processing_class=shapes.tokenizer(shapes.SHAPES["tiny"]["vocab_size"]),
        **({"ref_model": reference} if kind == "DPO" else {}),
    )
    batch = made.data_collator([made.train_dataset[i] for i in range(ROWS)])
    loss = made.compute_loss(made.model, batch)
    loss.backward()
    return loss.item(), {name: p.grad for name, p in made.model.named_parameters()}


def ours(objective: Any, policy: Any, reference: Any, rows: list[dict[str, str]]) -> tuple[float, dict[str, Any]]:
    """Loss and gradients of ours, in pieces of one or two rows."""
    models = Models(Role(Engine(policy)), reference=Role(Engine(reference)))
    kind = "dpo" if isinstance(objective, DPO) else "sft"
    forest = objective.prepare([plant(row, kind) for row in rows], models, Here(0, torch.Generator()))
    total = 0.0
    for piece in forest.split(50):
        loss = objective.loss(models, piece).terms["loss"].total / forest.counts["loss"]
        loss.backward()
        total += loss.item()
    return total, {name: p.grad for name, p in policy.named_parameters()}


@pytest.mark.parametrize("beta", [0.1, 0.5])
def test_equals_trl_dpo(pair: tuple[Any, Any], rows: list[dict[str, str]], tmp_path: Path, beta: float) -> None:
    """Without label smoothing: TRL takes the option and leaves it out of this loss."""
    policy, reference = pair
    found = ours(DPO(beta=beta), copy.deepcopy(policy), reference, rows)
    wanted = peer("DPO", policy, reference, rows, tmp_path, beta=beta)
    assert_close(found, wanted, rtol=1e-4, atol=1e-5)  # float32 sums in another order


def test_equals_trl_sft(pair: tuple[Any, Any], rows: list[dict[str, str]], tmp_path: Path) -> None:
    policy, _ = pair
    found = ours(SFT(), copy.deepcopy(policy), policy, rows)
    completions = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in rows]
    wanted = peer("SFT", policy, None, completions, tmp_path)
    assert_close(found, wanted, rtol=1e-4, atol=1e-5)  # float32 sums in another order
