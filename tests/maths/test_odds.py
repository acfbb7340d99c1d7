"""Log-odds: exact in the middle, finite with finite gradients at both ends."""

import math

import pytest
import torch
from torch.testing import assert_close

from espalier.maths.odds import log1mexp, log_odds

EXACT = {"rtol": 1e-12, "atol": 0.0}
MIDDLE = [-1e-3, -0.5, -math.log(2), -0.7, -3.0, -20.0]


def numbers(values, dtype=torch.float64):
    return torch.tensor(values, dtype=dtype)


def test_formula_log1mexp():
    expected = [math.log(-math.expm1(x)) if x > -0.6 else math.log1p(-math.exp(x)) for x in MIDDLE]
    assert_close(log1mexp(numbers(MIDDLE)), numbers(expected), **EXACT)


def test_formula_log_odds():
    # odds of 0.9, 0.5 and 0.2: 9 to 1, even, 1 to 4
    got = log_odds(numbers([math.log(0.9), math.log(0.5), math.log(0.2)]))
    assert_close(got, numbers([math.log(9), 0.0, -math.log(4)]), rtol=1e-12, atol=1e-15)


def test_formula_the_gradient_is_one_by_one_minus_p():
    x = numbers(MIDDLE).requires_grad_()
    log_odds(x).sum().backward()
    assert_close(x.grad, numbers([-1 / math.expm1(v) for v in MIDDLE]), **EXACT)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_finite_from_p_zero_to_p_one(dtype):
    x = numbers([-1e30, -1e4, -100.0, -1e-5, -1e-7, -1e-30, 0.0], dtype).requires_grad_()
    values = log_odds(x)
    values.sum().backward()
    assert torch.isfinite(values).all() and torch.isfinite(x.grad).all()
    assert (x.grad >= 1).all()
    assert values[0] == -1e30 and float(values[-1].detach()) == pytest.approx(-math.log(1e-6), rel=1e-4)


def test_property_float32_keeps_what_a_difference_of_ones_would_lose():
    x = [-1e-5, -50.0]
    assert_close(log_odds(numbers(x, torch.float32)).double(), log_odds(numbers(x)), rtol=1e-6, atol=0.0)
