"""What tests of pairwise objectives share: numbers, log-probabilities by hand, a batch's loss, steps of learning."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from espalier.models.roles import Models, Role
from espalier.train.step import optimize
from espalier.trees.engine import Engine
from espalier.trees.tree import Field, Tree
from tests.train.toys import branch, here, models_of, pair, prepared, small

EXACT = {"rtol": 1e-12, "atol": 0.0}
CHOSEN, REJECTED = [0.0, 2.0, -1.5], [0.0, -1.0, 2.5]  # log-ratios, in nats
LIKELY, UNLIKELY = [-0.2, -3.0, -1.5], [-0.9, -0.5, -1.5]  # log-probabilities, in nats
WEIGHTS = (1.0, 3.0)


def numbers(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def nls(x: float) -> float:
    """-log sigmoid(x)."""
    return math.log1p(math.exp(-x))


class Side:
    """One completion: its token log-probabilities under the policy and under the reference."""

    def __init__(self, policy: list[float], reference: list[float]) -> None:
        self.policy, self.reference, self.n = policy, reference, len(policy)
        self.logp, self.ratio = sum(policy), sum(policy) - sum(reference)


def by_hand(model: Any, path: Any) -> list[float]:
    """log p of each counted token by the model's own forward."""
    ids = torch.from_numpy(path.ids).long()
    with torch.no_grad():
        logps = model(ids[None]).logits[0].log_softmax(-1)
    return [float(logps[at - 1, ids[at]]) for at in path.counted]


def check_a_batch(objective: Any, value: Callable[[Side, Side], float]) -> Any:
    """The loss of two weighted pairs is the one worked from the logits of two models themselves."""
    policy, reference = small(0).double(), small(1).double()
    trees = [pair(seed, weight=weight) for seed, weight in zip((0, 1), WEIGHTS, strict=True)]
    models = Models(Role(Engine(policy)), reference=Role(Engine(reference)))
    with torch.no_grad():
        forest = objective.prepare(trees, models, here())
    loss = objective.loss(models, forest)
    expected = 0.0
    for tree, weight in zip(trees, WEIGHTS, strict=True):
        w, r = (Side(by_hand(policy, path), by_hand(reference, path)) for path in tree.branches)
        assert w.n != r.n
        expected += weight * value(w, r)
    assert float(loss.terms["loss"].total.detach()) == pytest.approx(expected, rel=1e-10)
    assert forest.counts["loss"] == sum(WEIGHTS)
    return loss


def learned(objective: Any, *, steps: int = 10, rate: float = 2e-2) -> list[dict[str, float]]:
    """Reports of steps on four prompts, each with a chosen and a rejected token."""
    index = {"chosen": Field([0], index="completion"), "rejected": Field([1], index="completion")}
    prompts = [[1, 5 + n] for n in range(4)]
    trees = [Tree.of([branch(prompt, [31]), branch(prompt, [30])], **index, weight=1.0) for prompt in prompts]
    model = small()
    models = models_of(objective, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    reports = []
    for number in range(steps):
        reports.append(optimize(objective, models, prepared(objective, models, trees), optimizer))
        models.after_step(number)
    return reports


def bandit(loss: Callable[[Tensor, Tensor], Tensor], *, steps: int, rate: float = 0.1) -> float:
    """Two actions, the first always preferred, a uniform reference: the log-ratio gap h after plain descent."""
    scores = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([scores], lr=rate)
    for _ in range(steps):
        ratios = scores.log_softmax(0) - math.log(0.5)
        optimizer.zero_grad()
        loss(ratios[:1], ratios[1:]).sum().backward()
        optimizer.step()
    return float((scores[0] - scores[1]).detach())
