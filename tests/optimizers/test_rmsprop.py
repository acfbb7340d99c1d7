"""RMSprop: torch's own, at the settings of DPO's authors."""

import math

import torch
from torch.testing import assert_close

from espalier.optimizers.rmsprop import RMSprop
from tests.optimizers.resumed import losses, same_after_a_checkpoint


def test_formula_the_first_step_knows_a_hundredth_of_the_square():
    # v = 0.01 g^2, so the first update is lr * g / (0.1 |g| + eps): ten times that of Adam
    weight = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = RMSprop().build([{"params": [weight], "lr": 0.01}])
    (3 * weight).sum().backward()
    optimizer.step()
    assert math.isclose(weight.item(), 2.0 - 0.01 * 3 / (0.1 * 3 + 1e-8), rel_tol=1e-12)


def test_equals_torchs_own():
    ends = []
    options = {"momentum": 0.5, "weight_decay": 0.1}
    for build in (
        lambda group: RMSprop(decay=0.9, **options).build([group]),
        lambda group: torch.optim.RMSprop([group], alpha=0.9, foreach=False, **options),
    ):
        weights = torch.nn.Parameter(torch.linspace(-1, 1, 37))
        optimizer = build({"params": [weights], "lr": 0.01})
        for step in range(5):
            optimizer.zero_grad()
            ((weights - step) ** 2).sum().backward()
            optimizer.step()
        ends.append(weights.detach())
    assert_close(*ends, rtol=1e-6, atol=1e-6)


def test_learns(tmp_path):
    found = losses(tmp_path, RMSprop(), rate=3e-3)
    assert found[-1] < 0.5 * found[0]


def test_a_resumed_run_ends_at_the_same_bits(tmp_path):
    assert same_after_a_checkpoint(tmp_path, RMSprop())
