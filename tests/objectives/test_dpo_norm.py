"""Length-normalized DPO: the equation, what length no longer does, and that it learns."""

import math

import pytest
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.objectives.dpo_norm import DPONorm, dpo_norm_loss
from tests.objectives.pairs import CHOSEN, EXACT, REJECTED, check_a_batch, learned, nls, numbers


def test_formula_dpo_norm():
    got = dpo_norm_loss(numbers(CHOSEN), numbers(REJECTED), beta=5.0)
    assert_close(got, numbers([nls(5 * (w - r)) for w, r in zip(CHOSEN, REJECTED, strict=True)]), **EXACT)


def test_formula_of_a_batch_divides_each_side_by_its_own_length():
    loss = check_a_batch(DPONorm(beta=4.0), lambda w, r: nls(4 * (w.ratio / w.n - r.ratio / r.n)))
    assert_close(loss.metrics["margin"], loss.metrics["chosen_reward"] - loss.metrics["rejected_reward"])


def test_property_log_two_at_the_reference_for_every_beta():
    for beta in (0.1, 50.0):
        assert float(dpo_norm_loss(numbers([0.2]), numbers([0.2]), beta=beta)) == pytest.approx(math.log(2))


def test_learns_to_prefer_the_chosen_token():
    reports = learned(DPONorm())
    assert reports[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert reports[-1]["accuracy"] == 1.0 and reports[-1]["loss"] < 0.1


def test_options_outside_of_the_formula_are_refused():
    with pytest.raises(RecipeError, match=r"objectives/dpo_norm: beta must be above 0, not -1"):
        DPONorm(beta=-1.0)
