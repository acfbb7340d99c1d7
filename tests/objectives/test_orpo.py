"""Odds ratio preference optimization: both terms, their ends, no reference, and that it learns both things."""

import math

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.models.roles import declared
from espalier.objectives.orpo import ORPO, odds_ratio_loss, orpo_loss
from tests.objectives.pairs import EXACT, LIKELY, UNLIKELY, check_a_batch, learned, nls, numbers


def logit(logp):
    """log odds of a probability."""
    return math.log(math.exp(logp) / (1 - math.exp(logp)))


def test_formula_odds_ratio():
    got = odds_ratio_loss(numbers(LIKELY), numbers(UNLIKELY))
    expected = [nls(logit(w) - logit(r)) for w, r in zip(LIKELY, UNLIKELY, strict=True)]
    assert_close(got, numbers(expected), **EXACT)
    # p = 0.8 against 0.5: odds 4 to 1 against even, -log(4 / 5)
    got = odds_ratio_loss(numbers([math.log(0.8)]), numbers([math.log(0.5)]))
    assert_close(got, numbers([math.log(1.25)]), **EXACT)


def test_formula_orpo():
    got = orpo_loss(numbers(LIKELY), numbers(UNLIKELY), odds_weight=0.25)
    expected = [-w + 0.25 * nls(logit(w) - logit(r)) for w, r in zip(LIKELY, UNLIKELY, strict=True)]
    assert_close(got, numbers(expected), **EXACT)


def test_formula_the_gradient_is_the_paper_s():
    # eq. 8 to 10: -sigmoid(-z) / (1 - p_w) in log p_w, sigmoid(-z) / (1 - p_l) in log p_l, z the log odds ratio
    chosen, rejected = numbers(LIKELY).requires_grad_(), numbers(UNLIKELY).requires_grad_()
    odds_ratio_loss(chosen, rejected).sum().backward()
    wrong = [1 / (1 + math.exp(logit(w) - logit(r))) for w, r in zip(LIKELY, UNLIKELY, strict=True)]
    up = [-d / (1 - math.exp(w)) for d, w in zip(wrong, LIKELY, strict=True)]
    down = [d / (1 - math.exp(r)) for d, r in zip(wrong, UNLIKELY, strict=True)]
    assert_close(chosen.grad, numbers(up), **EXACT)
    assert_close(rejected.grad, numbers(down), **EXACT)


def test_formula_of_a_batch_is_each_completion_s_own_mean():
    def value(w, r):
        return -w.logp / w.n + 0.25 * nls(logit(w.logp / w.n) - logit(r.logp / r.n))

    loss = check_a_batch(ORPO(odds_weight=0.25), value)
    assert loss.metrics.keys() >= {"nll", "log_odds_ratio", "accuracy"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_property_finite_for_probabilities_of_zero_and_one(dtype):
    ends = torch.tensor([0.0, -1e-8, -1e-3, -1.0, -200.0, -1e5], dtype=dtype)
    chosen, rejected = (x.clone().requires_grad_() for x in torch.cartesian_prod(ends, ends).T)
    values = orpo_loss(chosen, rejected, odds_weight=0.1)
    values.sum().backward()
    for found in (values, chosen.grad, rejected.grad):
        assert torch.isfinite(found).all()
    assert (chosen.grad < 0).all() and (rejected.grad >= 0).all()


def test_property_equal_sides_cost_log_two_beside_the_sft_term():
    assert float(odds_ratio_loss(numbers([-1.3]), numbers([-1.3]))) == pytest.approx(math.log(2))


def test_property_without_the_odds_it_is_the_cross_entropy():
    assert_close(orpo_loss(numbers(LIKELY), numbers(UNLIKELY), odds_weight=0.0), -numbers(LIKELY), **EXACT)


def test_property_no_reference_is_kept_in_memory():
    assert declared(ORPO()) == {}


def test_learns_that_log_odds_rise_while_the_chosen_gets_likelier():
    reports = learned(ORPO(odds_weight=0.5))
    assert reports[0]["accuracy"] < 1.0 == reports[-1]["accuracy"]
    assert reports[-1]["log_odds_ratio"] > reports[0]["log_odds_ratio"] + 1
    assert reports[-1]["nll"] < reports[0]["nll"] / 2
    imitating, odds = (learned(ORPO(odds_weight=weight), steps=3)[-1]["log_odds_ratio"] for weight in (0.0, 5.0))
    assert odds > imitating + 0.1


def test_options_outside_of_the_formula_are_refused():
    with pytest.raises(RecipeError, match=r"objectives/orpo: odds_weight must be 0 or more, not -0.1"):
        ORPO(odds_weight=-0.1)
