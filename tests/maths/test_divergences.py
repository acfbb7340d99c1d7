"""Derivatives of f-divergences: against the derivative of f itself, in their limits, and where numbers end."""

import math

import pytest
import torch
from torch.testing import assert_close

from espalier.maths.divergences import derivative

RATIOS = [0.05, 0.5, 1.0, 3.0]
GENERATORS = {
    "reverse_kl": lambda u: u * torch.log(u),
    "forward_kl": lambda u: -torch.log(u),
    "jensen_shannon": lambda u: u * torch.log(u) - (u + 1) * torch.log((u + 1) / 2),
    "alpha": lambda u: (u**0.7 - 0.7 * u - 0.3) / (0.3 * -0.7),  # alpha = 0.3
}
VALUES = {
    "reverse_kl": lambda u: math.log(u) + 1,
    "forward_kl": lambda u: -1 / u,
    "jensen_shannon": lambda u: math.log(2 * u / (1 + u)),
    "alpha": lambda u: (1 - u**-0.3) / 0.3,
}


def logs(values):
    return torch.tensor(values, dtype=torch.float64).log()


@pytest.mark.parametrize("divergence", GENERATORS)
def test_formula_derivative(divergence):
    got = derivative(logs(RATIOS), divergence=divergence, alpha=0.3)
    expected = torch.tensor([VALUES[divergence](u) for u in RATIOS], dtype=torch.float64)
    assert_close(got, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("divergence", GENERATORS)
def test_equals_the_derivative_of_f(divergence):
    ratio = torch.tensor(RATIOS, dtype=torch.float64, requires_grad=True)
    GENERATORS[divergence](ratio).sum().backward()
    assert_close(derivative(logs(RATIOS), divergence=divergence, alpha=0.3), ratio.grad, rtol=1e-12, atol=1e-15)


def test_property_alpha_leads_from_the_reverse_to_the_forward_kl():
    def gaps(**options):
        values = derivative(logs(RATIOS), **options)
        return values - values[2]  # constants cancel

    low, high = (gaps(divergence="alpha", alpha=alpha) for alpha in (1e-6, 1 - 1e-6))
    assert_close(low, gaps(divergence="reverse_kl"), rtol=1e-5, atol=0)  # 1e-6 away from the limit
    assert_close(high, gaps(divergence="forward_kl"), rtol=1e-5, atol=0)


@pytest.mark.parametrize("divergence", GENERATORS)
def test_property_what_overflows_is_finite_and_rises_with_the_ratio(divergence):
    x = torch.tensor([-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4], requires_grad=True)
    values = derivative(x, divergence=divergence, alpha=0.5)
    values.sum().backward()
    assert torch.isfinite(values).all() and torch.isfinite(x.grad).all()
    assert (values.diff() >= 0).all() and (values.diff()[2:4] > 0).all()
