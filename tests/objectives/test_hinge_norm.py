"""RSO's hinge: the equation, where it stops, and that it learns."""

import pytest
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.objectives.hinge_norm import HingeNorm, hinge_norm_loss
from tests.objectives.pairs import CHOSEN, EXACT, REJECTED, check_a_batch, learned, numbers


def test_formula_hinge_norm():
    # gaps 0, 3 and -4 times 0.5: 1 - 0, past 1, 1 + 2
    got = hinge_norm_loss(numbers(CHOSEN), numbers(REJECTED), gamma=0.5)
    assert_close(got, numbers([1.0, 0.0, 3.0]), **EXACT)


def test_formula_of_a_batch():
    check_a_batch(HingeNorm(gamma=0.3), lambda w, r: max(0.0, 1 - 0.3 * (w.ratio - r.ratio)))


def test_property_the_pull_is_constant_and_ends_at_the_margin():
    chosen = numbers([-50.0, 0.0, 1.9, 2.1]).requires_grad_()
    hinge_norm_loss(chosen, numbers([0.0] * 4), gamma=0.5).sum().backward()
    assert_close(chosen.grad, numbers([-0.5, -0.5, -0.5, 0.0]), **EXACT)


def test_property_one_at_the_reference_for_every_gamma():
    for gamma in (0.01, 3.0):
        assert float(hinge_norm_loss(numbers([0.3]), numbers([0.3]), gamma=gamma)) == 1.0


def test_learns_to_prefer_the_chosen_token():
    reports = learned(HingeNorm())
    assert reports[0]["loss"] == pytest.approx(1.0, abs=1e-6)
    assert reports[-1]["accuracy"] == 1.0 and reports[-1]["loss"] < 0.7


def test_options_outside_of_the_formula_are_refused():
    with pytest.raises(RecipeError, match=r"objectives/hinge_norm: gamma must be above 0, not 0.0"):
        HingeNorm(gamma=0.0)
