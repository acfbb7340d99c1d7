"""The reward model's loss and gradients against TRL's trainer, in float32.

TRL takes pairs only; a list of K completions has no counterpart there. It reads the score at the last token that is not
padding, ours at the completion's last.
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
from espalier.models.heads import with_scalar_head
from espalier.models.roles import Models, Role
from espalier.objectives.reward_model import RewardModel
from espalier.train.loop import Here
from espalier.trees.engine import Engine
from espalier.trees.tree import Field, Tree
from tests.equals import test_trl
from tests.equals.test_trl import ROWS

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore")  # TRL and accelerate warn about themselves
rows = test_trl.rows


def ours(objective: RewardModel, classifier: Any, given: list[dict[str, Any]]) -> tuple[Any, ...]:
    models = Models(Role(Engine(classifier)))
    trees = []
    for row in given:
        fields = {"rank": [1.0, 2.0], "margin": [row.get("margin", 0.0)], "weight": [1.0]}
        levels = {"rank": "completion"}
        made = {name: Field(v, levels.get(name, "example")) for name, v in fields.items()}  # type: ignore[arg-type]
        trees.append(Tree(plant(row, "dpo").branches, made))
    forest = objective.prepare(trees, models, Here(0, torch.Generator()))
    total = 0.0
    for piece in forest.split(50):
        loss = objective.loss(models, piece).terms["loss"].total / forest.counts["loss"]
        loss.backward()
        total += loss.item()
    return total, {name: p.grad for name, p in classifier.named_parameters()}


def theirs(classifier: Any, given: list[dict[str, Any]], folder: Path, **options: Any) -> tuple[Any, ...]:
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    plain = {"bf16": False, "use_cpu": True, "gradient_checkpointing": False, "report_to": [], "disable_tqdm": True}
    made = RewardTrainer(
        model=classifier,
        args=RewardConfig(output_dir=str(folder), per_device_train_batch_size=ROWS, **plain, **options),
        train_dataset=Dataset.from_list(given),
        processing_class=shapes.tokenizer(shapes.SHAPES["tiny"]["vocab_size"]),
    )
    loss = made.compute_loss(made.model, made.data_collator([made.train_dataset[i] for i in range(ROWS)]))
    loss.backward()
    return loss.item(), {name: p.grad for name, p in made.model.named_parameters()}


@pytest.mark.parametrize("margin", [False, True])
def test_equals_trl_reward(rows: list[dict[str, Any]], tmp_path: Path, margin: bool) -> None:
    model: Any = AutoModelForCausalLM.from_pretrained(shapes.saved("tiny", tmp_path))
    classifier = with_scalar_head(model, seed=1)
    classifier.config.pad_token_id = shapes.tokenizer(shapes.SHAPES["tiny"]["vocab_size"]).pad_token_id
    given = [{**row, "margin": 0.25 * n} for n, row in enumerate(rows)] if margin else rows
    found = ours(RewardModel(margin=margin, center=0.01), copy.deepcopy(classifier), given)
    wanted = theirs(classifier, given, tmp_path, center_rewards_coefficient=0.01)
    assert_close(found, wanted, rtol=1e-4, atol=1e-5)  # float32 sums in another order
