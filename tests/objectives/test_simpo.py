"""Simple preference optimization: the equation, its margin, its lengths, and that it learns."""

import math

import pytest
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.models.roles import declared
from espalier.objectives.simpo import SimPO, simpo_loss
from tests.objectives.pairs import EXACT, LIKELY, UNLIKELY, check_a_batch, learned, nls, numbers


def test_formula_simpo():
    # beta = 2, gamma = 1.6: the reward margin is 2 * (w - r) - 1.6
    got = simpo_loss(numbers(LIKELY), numbers(UNLIKELY), beta=2.0, gamma_beta_ratio=0.8)
    assert_close(got, numbers([nls(2 * (w - r) - 1.6) for w, r in zip(LIKELY, UNLIKELY, strict=True)]), **EXACT)


def test_formula_of_a_batch_is_per_token():
    check_a_batch(
        SimPO(beta=2.5, gamma_beta_ratio=0.4), lambda w, r: nls(2.5 * w.logp / w.n - 2.5 * r.logp / r.n - 1.0)
    )


def test_property_log_two_is_where_the_margin_is_reached():
    got = simpo_loss(numbers([-1.0]), numbers([-1.5]), beta=3.0, gamma_beta_ratio=0.5)
    assert float(got) == pytest.approx(math.log(2))


def test_property_the_gradient_is_beta_times_how_far_the_margin_is_missed():
    chosen = numbers(LIKELY).requires_grad_()
    simpo_loss(chosen, numbers(UNLIKELY), beta=2.0, gamma_beta_ratio=0.5).sum().backward()
    missed = [1 / (1 + math.exp(2 * (w - r) - 1.0)) for w, r in zip(LIKELY, UNLIKELY, strict=True)]
    assert_close(chosen.grad, numbers([-2 * d for d in missed]), **EXACT)


def test_property_no_reference_is_kept_in_memory():
    assert declared(SimPO()) == {}


def test_learns_to_prefer_the_chosen_token():
    reports = learned(SimPO())
    assert reports[-1]["accuracy"] == 1.0 and reports[-1]["margin"] > 2.0 and reports[-1]["loss"] < 0.2


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"gamma_beta_ratio": -0.1}])
def test_options_outside_of_the_formula_are_refused(options):
    with pytest.raises(RecipeError, match=r"objectives/simpo: (beta must be above 0|gamma_beta_ratio must be 0)"):
        SimPO(**options)
