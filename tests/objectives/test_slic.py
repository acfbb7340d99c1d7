"""Sequence likelihood calibration: the hinge, the regularizer, and that it learns."""

import pytest
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.models.roles import declared
from espalier.objectives.slic import SLiC, slic_loss
from tests.objectives.pairs import EXACT, check_a_batch, learned, numbers


def test_formula_slic():
    # margins 1, 3 and -2 against delta = 2: hinges of 1, 0 and 4; plus 0.5 times 5, 1 and 3 nats
    chosen, rejected, target = [-2.0, -1.0, -3.0], [-3.0, -4.0, -1.0], [-5.0, -1.0, -3.0]
    got = slic_loss(numbers(chosen), numbers(rejected), numbers(target), delta=2.0, regularization=0.5)
    assert_close(got, numbers([1 + 2.5, 0 + 0.5, 4 + 1.5]), **EXACT)


def test_formula_of_a_batch_sums_log_probabilities():
    check_a_batch(SLiC(delta=30.0, regularization=0.5), lambda w, r: max(0.0, 30.0 - w.logp + r.logp) - 0.5 * w.logp)


def test_property_beyond_the_margin_only_the_regularizer_pulls():
    chosen, rejected = numbers([-1.0]).requires_grad_(), numbers([-9.0]).requires_grad_()
    slic_loss(chosen, rejected, chosen, delta=1.0, regularization=0.3).sum().backward()
    assert_close(chosen.grad, numbers([-0.3]), **EXACT)
    assert_close(rejected.grad, numbers([0.0]), **EXACT)


def test_property_no_reference_is_kept_in_memory():
    assert declared(SLiC()) == {}


def test_learns_to_prefer_the_chosen_token():
    for regularization in (0.0, 0.5):
        reports = learned(SLiC(regularization=regularization))
        assert reports[0]["accuracy"] < 1.0 == reports[-1]["accuracy"] and reports[-1]["margin"] > 1.0


@pytest.mark.parametrize("options", [{"delta": 0.0}, {"regularization": -0.1}])
def test_options_outside_of_the_formula_are_refused(options):
    with pytest.raises(RecipeError, match=r"objectives/slic: (delta must be above 0|regularization must be 0 or more)"):
        SLiC(**options)
