"""Identity preference optimization: the equation, its optimum where DPO has none, and both means of a log-ratio."""

import math

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.objectives.dpo import dpo_loss
from espalier.objectives.ipo import IPO, ipo_loss
from tests.objectives.pairs import CHOSEN, EXACT, REJECTED, bandit, check_a_batch, learned, numbers


def test_formula_ipo():
    # h = 0, 3, -4 against 1 / (2 * 0.25) = 2: squares of -2, 1, -6
    got = ipo_loss(numbers(CHOSEN), numbers(REJECTED), tau=0.25)
    assert_close(got, numbers([4.0, 1.0, 36.0]), **EXACT)
    got = ipo_loss(numbers(CHOSEN), numbers(REJECTED), tau=0.1)
    assert_close(got, numbers([(w - r - 5.0) ** 2 for w, r in zip(CHOSEN, REJECTED, strict=True)]), **EXACT)


def test_formula_the_gradient_pulls_back_beyond_the_margin():
    chosen = numbers([0.0, 5.0, 8.0]).requires_grad_()
    ipo_loss(chosen, numbers([0.0, 0.0, 0.0]), tau=0.1).sum().backward()
    assert_close(chosen.grad, numbers([-10.0, 0.0, 6.0]), **EXACT)


def test_formula_of_a_batch_by_default_the_mean_per_token():
    check_a_batch(IPO(tau=0.2), lambda w, r: (w.ratio / w.n - r.ratio / r.n - 2.5) ** 2)
    check_a_batch(IPO(tau=0.2, average=False), lambda w, r: (w.ratio - r.ratio - 2.5) ** 2)


@pytest.mark.parametrize("tau", [0.1, 0.5, 2.0])
def test_property_the_paper_s_deterministic_bandit_has_its_optimum_at_half_the_inverse_of_tau(tau):
    gap = bandit(lambda w, r: ipo_loss(w, r, tau=tau), steps=200)
    assert gap == pytest.approx(1 / (2 * tau), rel=1e-9)
    assert 1 / (1 + math.exp(-gap)) == pytest.approx(1 / (1 + math.exp(-0.5 / tau)))  # pi(y1) = sigmoid(0.5 / tau)


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_property_on_that_bandit_dpo_drives_the_rejected_action_to_zero_for_every_beta(beta):
    gaps = [bandit(lambda w, r: dpo_loss(w, r, beta=beta), steps=steps, rate=1.0) for steps in (50, 200, 800)]
    assert gaps[0] + 0.7 / beta < gaps[1] < gaps[2] - 0.7 / beta  # grows like log(steps) / beta, and never ends
    assert 1 / (1 + math.exp(gaps[2])) < 0.05


def test_property_the_loss_of_an_untouched_policy_depends_on_tau_alone():
    zero = numbers([1.7])
    for tau in (0.05, 1.0):
        assert float(ipo_loss(zero, zero, tau=tau)) == pytest.approx(1 / (4 * tau**2))


def test_property_both_means_agree_on_completions_of_one_token():
    means, sums = (learned(IPO(average=average), steps=3) for average in (True, False))
    assert means == sums


def test_learns_to_prefer_the_chosen_token_by_the_margin_and_no_more():
    reports = learned(IPO(tau=0.5), steps=30)
    assert reports[0]["accuracy"] == 0.0 and reports[0]["loss"] == pytest.approx(1.0, abs=1e-5)
    assert reports[-1]["accuracy"] == 1.0 and reports[-1]["loss"] < 0.05
    assert reports[-1]["margin"] == pytest.approx(0.5, abs=0.15)  # tau * h, h = 1 / (2 tau)


@pytest.mark.parametrize("tau", [0.0, -0.1, math.inf, math.nan])
def test_a_tau_outside_of_the_formula_is_refused(tau):
    with pytest.raises(RecipeError, match=r"objectives/ipo: tau must be above 0"):
        IPO(tau=tau)


def test_property_extreme_ratios_stay_finite():
    assert torch.isfinite(ipo_loss(numbers([1e4, -1e4]), numbers([0.0, 0.0]), tau=0.1)).all()
