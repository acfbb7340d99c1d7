"""Robust DPO: the equation, that swapped labels do not bias it, and that it learns through them."""

import math

import pytest
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.objectives.dpo import dpo_loss
from espalier.objectives.robust_dpo import RobustDPO, robust_dpo_loss
from tests.objectives.pairs import CHOSEN, EXACT, REJECTED, check_a_batch, learned, nls, numbers


def test_formula_robust_dpo():
    got = robust_dpo_loss(numbers(CHOSEN), numbers(REJECTED), beta=0.5, label_smoothing=0.2)
    margins = [0.5 * (w - r) for w, r in zip(CHOSEN, REJECTED, strict=True)]
    assert_close(got, numbers([(0.8 * nls(m) - 0.2 * nls(-m)) / 0.6 for m in margins]), **EXACT)


def test_formula_of_a_batch():
    def value(w, r):
        margin = 0.3 * (w.ratio - r.ratio)
        return (0.9 * nls(margin) - 0.1 * nls(-margin)) / 0.8

    check_a_batch(RobustDPO(beta=0.3, label_smoothing=0.1), value)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.45])
def test_property_unbiased_where_a_known_share_of_the_labels_is_swapped(share):
    # expectation and gradient over the swap: DPO's on the true labels, which cDPO's are not
    w, r = numbers(CHOSEN).requires_grad_(), numbers(REJECTED).requires_grad_()
    options = {"beta": 0.5, "label_smoothing": share}
    robust = (1 - share) * robust_dpo_loss(w, r, **options) + share * robust_dpo_loss(r, w, **options)
    smoothed = (1 - share) * dpo_loss(w, r, **options) + share * dpo_loss(r, w, **options)
    clean = dpo_loss(w, r, beta=0.5)
    assert_close(robust, clean, rtol=1e-12, atol=1e-15)
    assert float((smoothed - clean).abs().max().detach()) > 0.05
    robust.sum().backward()
    found, w.grad = w.grad, None
    clean.sum().backward()
    assert_close(found, w.grad, rtol=1e-12, atol=1e-15)


def test_property_log_two_at_the_reference_and_dpo_without_noise():
    zero = numbers([0.4])
    assert float(robust_dpo_loss(zero, zero, beta=2.0, label_smoothing=0.4)) == pytest.approx(math.log(2))
    plain = robust_dpo_loss(numbers(CHOSEN), numbers(REJECTED), beta=0.5, label_smoothing=0.0)
    assert_close(plain, dpo_loss(numbers(CHOSEN), numbers(REJECTED), beta=0.5), **EXACT)


def test_learns_to_prefer_the_chosen_token():
    reports = learned(RobustDPO())
    assert reports[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert reports[-1]["accuracy"] == 1.0 and reports[-1]["loss"] < 0.4


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"label_smoothing": 0.5}, {"label_smoothing": -0.1}])
def test_options_outside_of_the_formula_are_refused(options):
    with pytest.raises(
        RecipeError, match=r"objectives/robust_dpo: (beta must be above 0|label_smoothing must be from)"
    ):
        RobustDPO(**options)
