"""Measures of a ranking, worked by hand."""

import math

import pytest

from espalier.maths.ranking import average_precision, ndcg, recall, reciprocal_rank

QRELS = {"a": 3.0, "b": 1.0, "c": 0.0, "d": 2.0, "spam": -2.0}


def test_formula_ndcg_discounts_the_grade_by_the_rank():
    # found: c 0, a 3, x 0, b 1; best: 3, 2, 1
    found = 3 / math.log2(3) + 1 / math.log2(5)
    best = 3 + 2 / math.log2(3) + 1 / 2
    assert ndcg(["c", "a", "x", "b"], QRELS) == pytest.approx(found / best, rel=1e-12)
    assert ndcg(["c", "a", "x", "b"], QRELS, 2) == pytest.approx(3 / math.log2(3) / (3 + 2 / math.log2(3)), rel=1e-12)


def test_formula_reciprocal_rank():
    assert reciprocal_rank(["c", "x", "b", "a"], QRELS) == 1 / 3
    assert reciprocal_rank(["c", "x", "b", "a"], QRELS, 2) == 0.0
    assert reciprocal_rank(["c", "x", "b", "a"], QRELS, least=2) == 1 / 4


def test_formula_recall():
    assert recall(["a", "x", "b", "d"], QRELS, 3) == 2 / 3
    assert recall(["a", "x", "b", "d"], QRELS, 3, least=2) == 1 / 2
    assert recall(["a", "x", "b", "d"], QRELS) == 1.0


def test_formula_average_precision():
    # relevant a, b, d; found at ranks 1 and 4, d is missing: (1/1 + 2/4) / 3
    assert average_precision(["a", "x", "c", "b"], QRELS) == pytest.approx(0.5, rel=1e-12)


def test_property_the_best_ranking_is_perfect_and_nothing_relevant_is_zero():
    best = ["a", "d", "b"]
    assert ndcg(best, QRELS, 10) == recall(best, QRELS) == average_precision(best, QRELS) == 1.0
    for measure in (ndcg, reciprocal_rank, recall, average_precision):
        assert measure(best, {"c": 0.0}) == measure([], QRELS) == 0.0


def test_property_a_negative_grade_is_no_worse_than_none():
    assert ndcg(["spam", "a"], QRELS) == ndcg(["x", "a"], QRELS)


def test_a_document_named_twice_is_refused():
    with pytest.raises(ValueError, match="once"):
        ndcg(["a", "a"], QRELS)
