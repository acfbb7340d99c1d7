"""Contrastive preference optimization: the preference, the term of SFT in both its forms, and that it learns."""

import math

import pytest
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.models.roles import declared
from espalier.objectives.cpo import CPO, cpo_loss
from tests.objectives.pairs import EXACT, LIKELY, UNLIKELY, check_a_batch, learned, nls, numbers


def test_formula_cpo():
    got = cpo_loss(numbers(LIKELY), numbers(UNLIKELY), numbers([4.0, 5.0, 6.0]), beta=0.3, nll_weight=0.5)
    margins = [0.3 * (w - r) for w, r in zip(LIKELY, UNLIKELY, strict=True)]
    assert_close(got, numbers([nls(m) + 0.5 * n for m, n in zip(margins, (4.0, 5.0, 6.0), strict=True)]), **EXACT)


def test_formula_the_gradient_of_both_terms():
    chosen, rejected = numbers(LIKELY).requires_grad_(), numbers(UNLIKELY).requires_grad_()
    cpo_loss(chosen, rejected, -chosen, beta=0.3, nll_weight=2.0).sum().backward()
    pulls = [0.3 / (1 + math.exp(0.3 * (w - r))) for w, r in zip(LIKELY, UNLIKELY, strict=True)]
    assert_close(chosen.grad, numbers([-pull - 2.0 for pull in pulls]), **EXACT)
    assert_close(rejected.grad, numbers(pulls), **EXACT)


def test_formula_of_a_batch_with_the_term_of_sft_per_token_or_as_written():
    check_a_batch(CPO(beta=0.3), lambda w, r: nls(0.3 * (w.logp - r.logp)) - w.logp / w.n)
    check_a_batch(CPO(beta=0.3, average=False), lambda w, r: nls(0.3 * (w.logp - r.logp)) - w.logp)


def test_property_log_two_is_left_where_both_sides_are_alike():
    zero = numbers([-2.0])
    assert float(cpo_loss(zero, zero, 0 * zero, beta=0.7)) == pytest.approx(math.log(2))
    assert float(cpo_loss(zero, 9 * zero, 0 * zero, beta=1e-9)) == pytest.approx(math.log(2))  # beta towards 0


def test_property_no_reference_is_kept_in_memory():
    assert declared(CPO()) == {}


def test_learns_to_prefer_and_to_imitate_the_chosen_token():
    reports = learned(CPO(beta=0.5))
    assert reports[-1]["accuracy"] == 1.0 and reports[-1]["margin"] > reports[0]["margin"] + 0.5
    assert reports[-1]["nll"] < reports[0]["nll"] / 2
    assert learned(CPO(nll_weight=0.0))[-1]["accuracy"] == 1.0  # by the preference alone


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"nll_weight": -1.0}])
def test_options_outside_of_the_formula_are_refused(options):
    with pytest.raises(RecipeError, match=r"objectives/cpo: (beta must be above 0|nll_weight must be 0 or more)"):
        CPO(**options)
