"""Shares of fused rankings by hand."""

import pytest

from espalier.maths.fusion import min_max, reciprocal_rank_score


def test_formula_reciprocal_rank_score():
    assert reciprocal_rank_score(1) == pytest.approx(1 / 61, rel=1e-12)
    assert reciprocal_rank_score(3, weight=0.5, constant=10) == pytest.approx(0.5 / 13, rel=1e-12)


def test_formula_min_max():
    assert min_max([3.0, 1.0, 2.0]) == [1.0, 0.0, 0.5]
    assert min_max([2.0, 2.0]) == [1.0, 1.0] and min_max([]) == []
