"""f-DPO: the equation under every divergence, what each rewards, and that it learns."""

import math

import pytest
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.objectives.f_dpo import FDPO, f_dpo_loss
from tests.objectives.pairs import CHOSEN, EXACT, REJECTED, check_a_batch, learned, nls, numbers

SCORES = {
    "reverse_kl": lambda x: x,
    "forward_kl": lambda x: -math.exp(-x),
    "jensen_shannon": lambda x: -nls(x),
    "alpha": lambda x: (1 - math.exp(-0.3 * x)) / 0.3,
}


def test_formula_f_dpo():
    got = f_dpo_loss(numbers(CHOSEN), numbers(REJECTED), beta=0.4)
    assert_close(got, numbers([nls(0.4 * (w - r)) for w, r in zip(CHOSEN, REJECTED, strict=True)]), **EXACT)


@pytest.mark.parametrize("divergence", SCORES)
def test_formula_of_a_batch(divergence):
    score = SCORES[divergence]
    objective = FDPO(beta=0.3, divergence=divergence, alpha=0.3)
    check_a_batch(objective, lambda w, r: nls(0.3 * (score(w.ratio) - score(r.ratio))))


@pytest.mark.parametrize("divergence", SCORES)
def test_learns_to_prefer_the_chosen_token(divergence):
    reports = learned(FDPO(divergence=divergence), steps=8)
    assert reports[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert reports[-1]["accuracy"] == 1.0 and reports[-1]["loss"] < 0.6


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"alpha": 0.0}, {"alpha": 1.0}])
def test_options_outside_of_the_formula_are_refused(options):
    with pytest.raises(
        RecipeError, match=r"objectives/f_dpo: (beta must be above 0|alpha must be above 0 and below 1)"
    ):
        FDPO(**options)
