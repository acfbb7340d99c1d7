"""Search in two stages: order, what is missing, what is below the depth, and parts."""

import pytest

from espalier.contracts import Hit, Part, Scores
from espalier.errors import RecipeError
from espalier.reranking import Reranked


class Found:
    """A first stage that finds a to f."""

    def search(self, query, k):
        return [Hit(letter, 10.0 - place, f"text {letter}", "title") for place, letter in enumerate("abcdef")][:k]

    def explain(self, query, hit):
        return ((f"term of {hit.document}", hit.score),)


class By:
    def __init__(self, **values):
        self.values, self.rows = values, []

    def score(self, rows):
        self.rows += rows
        return Scores(tuple(self.values.get(row["document"][-1]) for row in rows))


def search(scorer, k=6, depth=100, retriever=None):
    return Reranked(retriever or Found(), scorer, "upr", depth, first="bm25").search("query", k)


def names(hits):
    return "".join(hit.document for hit in hits)


def test_hits_are_in_the_order_of_the_scorer_with_a_part_for_each_stage():
    scorer = By(a=0.1, b=-2.0, c=0.3, d=0.2, e=0.1, f=9.0)
    hits = search(scorer, k=4)
    assert names(hits) == "fcda"  # a before e, which is equal and came later
    assert hits[1].score == 0.3 and hits[1].parts == (Part("bm25", 3, 8.0), Part("upr", 2, 0.3))
    assert dict(scorer.rows[0]) == {"query": "query", "document": "text a", "title": "title", "group": "query"}


def test_a_missing_score_is_no_zero_but_stands_behind():
    hits = search(By(b=-2.0, e=-1.0))
    assert names(hits) == "ebacdf"
    assert [part.stage for part in hits[2].parts] == ["bm25"]
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_without_any_score_the_first_stage_stands_and_it_is_said(caplog):
    hits = search(By())
    assert "upr could not score 6 of 6 hits" in caplog.text
    assert names(hits) == "abcdef" and hits[0].score == 10.0


def test_hits_below_the_depth_stay_below():
    scorer = By(a=1.0, b=2.0, c=9.0)
    assert names(search(scorer, k=5, depth=2)) == "bacde"
    assert len(scorer.rows) == 2


def test_no_hits_ask_nothing():
    class Nothing(Found):
        def search(self, query, k):
            return []

    scorer = By()
    assert search(scorer, retriever=Nothing()) == [] and not scorer.rows


def test_it_explains_each_stage_with_the_score_it_gave():
    two = Reranked(Reranked(Found(), By(a=0.5, b=0.7), "upr", 2, first="bm25"), By(a=3.0, b=4.0), "prp", 2)
    best = two.search("query", 1)[0]
    assert [part.stage for part in best.parts] == ["bm25", "upr", "prp"]
    assert two.explain("query", best) == (("prp", 4.0), ("upr", 0.7), ("term of b", 9.0))


def test_what_cannot_be_is_refused():
    with pytest.raises(RecipeError, match="depth is 0"):
        Reranked(Found(), By(), "upr", 0)
    with pytest.raises(RecipeError, match="k is 0"):
        search(By(), k=0)
