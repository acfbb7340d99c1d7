"""Length-desensitized DPO: which tokens count less, both ends of alpha, and that it learns."""

import math

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.objectives.dpo import DPO
from espalier.objectives.ld_dpo import LDDPO, desensitized, ld_dpo_loss
from tests.objectives.pairs import CHOSEN, EXACT, REJECTED, check_a_batch, learned, nls, numbers
from tests.train.toys import models_of, pair, prepared, small


def test_formula_desensitized():
    got = desensitized(numbers([-1.0, -2.0, -3.0]), torch.tensor([False, False, True]), alpha=0.25)
    assert_close(got, numbers([-1.0, -2.0, -0.75]), **EXACT)


def test_formula_ld_dpo():
    got = ld_dpo_loss(numbers(CHOSEN), numbers(REJECTED), beta=0.4)
    assert_close(got, numbers([nls(0.4 * (w - r)) for w, r in zip(CHOSEN, REJECTED, strict=True)]), **EXACT)


def ratio(side, shared, alpha):
    """What stands up to the shared length, and alpha of the rest."""
    tokens = [p - r for p, r in zip(side.policy, side.reference, strict=True)]
    return sum(tokens[:shared]) + alpha * sum(tokens[shared:])


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_formula_of_a_batch(alpha):
    def value(w, r):
        shared = min(w.n, r.n)
        return nls(0.3 * (ratio(w, shared, alpha) - ratio(r, shared, alpha)))

    check_a_batch(LDDPO(beta=0.3, alpha=alpha), value)


def test_property_at_alpha_one_it_is_dpo():
    check_a_batch(LDDPO(beta=0.3, alpha=1.0), lambda w, r: nls(0.3 * (w.ratio - r.ratio)))
    assert learned(LDDPO(beta=0.1, alpha=0.2), steps=2)[-1]["loss"] == learned(DPO(beta=0.1), steps=2)[-1]["loss"]


def test_property_the_shorter_side_keeps_all_its_tokens():
    trees = [pair(seed) for seed in range(6)]
    forest = prepared(LDDPO(), models_of(LDDPO(), small()), trees)
    marked = forest.sum_tokens(forest["verbose"].long())
    lengths = forest.lengths
    for chosen, rejected in zip(forest["chosen"], forest["rejected"], strict=True):
        gap = int(lengths[chosen] - lengths[rejected])
        assert (int(marked[chosen]), int(marked[rejected])) == (max(gap, 0), max(-gap, 0))


def test_property_log_two_at_the_reference():
    assert float(ld_dpo_loss(numbers([0.2]), numbers([0.2]), beta=9.0)) == pytest.approx(math.log(2))


def test_learns_to_prefer_the_chosen_token():
    reports = learned(LDDPO())
    assert reports[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert reports[-1]["accuracy"] == 1.0 and reports[-1]["loss"] < 0.4


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"alpha": -0.1}, {"alpha": 1.1}])
def test_options_outside_of_the_formula_are_refused(options):
    with pytest.raises(RecipeError, match=r"objectives/ld_dpo: (beta must be above 0|alpha must be from 0 to 1)"):
        LDDPO(**options)
