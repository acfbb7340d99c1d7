"""RPO: DPO's term, the term of SFT, what the latter prevents, and that it learns."""

import pytest
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.objectives.rpo import RPO, rpo_loss
from tests.objectives.pairs import CHOSEN, EXACT, LIKELY, REJECTED, check_a_batch, learned, nls, numbers


def test_formula_rpo():
    got = rpo_loss(numbers(CHOSEN), numbers(REJECTED), numbers(LIKELY), beta=0.4, nll_weight=0.5)
    expected = [nls(0.4 * (w - r)) - 0.5 * n for w, r, n in zip(CHOSEN, REJECTED, LIKELY, strict=True)]
    assert_close(got, numbers(expected), **EXACT)


def test_formula_of_a_batch_imitates_per_token():
    loss = check_a_batch(
        RPO(beta=0.3, nll_weight=0.7), lambda w, r: nls(0.3 * (w.ratio - r.ratio)) - 0.7 * w.logp / w.n
    )
    assert (loss.metrics["nll"] > 0).all()


def test_property_both_sides_sinking_together_is_punished_as_dpo_does_not():
    def loss(sunk, weight):
        return float(rpo_loss(numbers([-sunk]), numbers([-2 - sunk]), numbers([-sunk]), beta=0.1, nll_weight=weight))

    assert loss(8.0, 0.0) == loss(0.0, 0.0)
    assert loss(8.0, 1.0) == pytest.approx(loss(0.0, 1.0) + 8.0)


def test_learns_to_prefer_and_to_imitate_the_chosen_token():
    reports = learned(RPO())
    assert reports[-1]["accuracy"] == 1.0 and reports[-1]["margin"] > 0.3
    assert reports[-1]["nll"] < reports[0]["nll"] / 2
    assert learned(RPO(nll_weight=0.0))[-1]["accuracy"] == 1.0  # by the preference alone


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"nll_weight": -1.0}])
def test_options_outside_of_the_formula_are_refused(options):
    with pytest.raises(RecipeError, match=r"objectives/rpo: (beta must be above 0|nll_weight must be 0 or more)"):
        RPO(**options)
