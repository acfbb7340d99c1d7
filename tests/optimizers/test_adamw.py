"""AdamW: torch's own, fused."""

import math

import torch
from torch.testing import assert_close

from espalier.optimizers.adamw import AdamW


def trajectory(build):
    weights = torch.nn.Parameter(torch.linspace(-1, 1, 37))
    optimizer = build([weights])
    for step in range(5):
        optimizer.zero_grad()
        ((weights - step) ** 2).sum().backward()
        optimizer.step()
    return weights.detach()


def test_equals_torchs_own_plain_implementation():
    ours = AdamW(beta1=0.8, beta2=0.95, eps=1e-6, weight_decay=0.1)
    plain = {"betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1, "foreach": False}
    found = trajectory(lambda params: ours.build([{"params": params, "lr": 0.05}]))
    assert_close(found, trajectory(lambda params: torch.optim.AdamW(params, lr=0.05, **plain)), rtol=1e-6, atol=1e-6)


def test_formula_the_first_step_is_the_rate_and_decay_acts_on_the_weight():
    # m/(1-b1) = g and v/(1-b2) = g^2, so the first update is lr * g / (|g| + eps); decay multiplies with 1 - lr * decay
    weight = torch.nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    optimizer = AdamW(weight_decay=0.1, eps=1e-8).build([{"params": [weight], "lr": 0.01}])
    (3 * weight).sum().backward()
    optimizer.step()
    expected = 2.0 * (1 - 0.01 * 0.1) - 0.01 * 3 / (3 + 1e-8)
    assert math.isclose(weight.item(), expected, rel_tol=1e-12)


def test_groups_keep_their_own_rates():
    first, second = (torch.nn.Parameter(torch.zeros(1)) for _ in range(2))
    optimizer = AdamW().build([{"params": [first], "lr": 0.1}, {"params": [second], "lr": 0.2}])
    (first + second).sum().backward()
    optimizer.step()
    assert_close(second, 2 * first)
