"""Objectives whose batches hold more than sums, or another head, on two ranks: the losses and weights of one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from espalier.models.heads import with_scalar_head
from espalier.models.roles import assemble
from espalier.objectives.kto import KTO
from espalier.objectives.reward_model import RewardModel
from espalier.objectives.unlikelihood import Unlikelihood
from espalier.train import distributed
from espalier.train.step import optimize
from tests.objectives.test_reward_model import ranked
from tests.train.ranks import together
from tests.train.rated import both, moved, rated
from tests.train.toys import here, policy_of, small

RATED = [*(rated(seed, weight=1 + seed / 4) for seed in range(4)), both(7)]
CASES: dict[str, tuple[Any, Any]] = {
    "kto": (KTO(desirable_weight=1.0, undesirable_weight=2.0), RATED),
    "kto, a rank without rows": (KTO(), RATED[:1]),
    "unlikelihood": (Unlikelihood(), RATED),
    "reward_model": (RewardModel(center=0.01), [ranked(n, [1, 2, 3][: 2 + n % 2]) for n in range(5)]),
}


def steps(strategy: str, file: str) -> None:
    """What three steps of each objective report, the last after the weights have moved twice; the first rank writes."""
    found = {}
    with distributed.ranks("cpu"):
        for name, (objective, trees) in CASES.items():
            model = small().double()
            model = with_scalar_head(model, seed=0).double() if name == "reward_model" else model
            models = assemble(objective, policy_of(model, max_tokens=40), fresh_adapter=False)
            moved(model)
            distributed.spread(models, strategy)
            optimizer = torch.optim.SGD(models.policy.inner.parameters(), lr=0.1)
            mine = trees[distributed.rank() :: distributed.world_size()]
            found[name] = [
                optimize(objective, models, objective.prepare(mine, models, here(n)), optimizer, max_tokens=30)
                for n in range(3)
            ]
        if distributed.rank() == 0:
            torch.save(found, file)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_equals_one_rank(strategy: str, tmp_path: Path) -> None:
    together(steps, strategy, str(tmp_path / "two"))
    steps(strategy, str(tmp_path / "one"))
    two, one = (torch.load(tmp_path / name, weights_only=True) for name in ("two", "one"))
    assert one["kto"][0]["kl"] > 0 == one["kto, a rank without rows"][0]["kl"]
    for name, reports in one.items():
        for ours, wanted in zip(two[name], reports, strict=True):
            assert ours == pytest.approx(wanted, rel=1e-7, abs=1e-9), name  # shares of a label are float32
