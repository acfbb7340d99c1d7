"""Several wordings: how they are read, and how their rankings become one."""

import pytest

from espalier.contracts import Hit, Part
from espalier.errors import RecipeError
from espalier.expanders.multi_query import MultiQuery, rewrites
from espalier.lm.scripted import Scripted
from espalier.retrievers.bm25 import BM25

HITS = [
    Hit("car.md", 0.0, "A car has an engine."),
    Hit("auto.md", 0.0, "An automobile museum."),
    Hit("both.md", 0.0, "A car is an automobile, and an engine drives it along all roads of the land."),
]


def several(*replies, **options):
    return MultiQuery(Scripted(*replies), BM25().index(HITS), **options)


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        ("1. old cars\n2) an automobile\n 3: motors", ("old cars", "an automobile", "motors")),
        ("Here they are:\n1. old cars\n\n2.\n3. Old  cars\n4. CAR", ("old cars",)),
        ("- old cars\n\u2022 'motors'", ("old cars", "motors")),
        ("old cars\n3.5 mm jack\n", ("old cars", "3.5 mm jack")),
        ("1\u3001자동차\n2\uff0e옛날 차", ("자동차", "옛날 차")),
        ("1. a\n2. b\n3. c\n4. d\n5. e", ("a", "b", "c", "d")),
        ("", ()),
    ],
)
def test_formula_the_query_and_what_a_reply_lists(reply, found):
    assert rewrites(reply, "car", 4) == ("car", *found)


def test_formula_scores_are_sums_of_reciprocal_ranks():
    built = several("1. automobile")
    hits = built.search("car", 9)
    car, auto = (built.retriever.search(query, 9) for query in ("car", "automobile"))
    assert [hit.document for hit in car] == ["car.md", "both.md"]
    assert [hit.document for hit in auto] == ["auto.md", "both.md"]
    assert [(hit.document, hit.score) for hit in hits] == [
        ("both.md", pytest.approx(2 / 62)), ("car.md", pytest.approx(1 / 61)), ("auto.md", pytest.approx(1 / 61))
    ]  # fmt: skip
    assert hits[0].parts == (Part("car", 2, car[1].score), Part("automobile", 2, auto[1].score))
    assert built.explain("car", hits[0]) == (("car", 1 / 62), ("automobile", 1 / 62))
    assert len(built.lm.calls) == 1 and built.lm.calls[0].prompt.endswith("\nQuery: car")
    assert built.search("car", 1) == hits[:1]


@pytest.mark.parametrize(("reply", "options"), [("never said", {"n": 0}), ("", {}), ("1. Car", {})])
def test_property_without_another_wording_it_is_the_plain_search(reply, options):
    built = several(reply, **options)
    hits = built.search("car", 2)
    assert hits == built.retriever.search("car", 2)
    assert built.explain("car", hits[0]) == built.retriever.explain("car", hits[0])


def test_learns_to_find_what_another_word_says():
    built = several("1. automobile")
    assert "auto.md" not in {hit.document for hit in built.retriever.search("car", 9)}
    assert "auto.md" in {hit.document for hit in built.search("car", 9)}


def test_what_cannot_be_is_refused():
    with pytest.raises(RecipeError, match="expanders/multi_query"):
        several(n=-1)
    with pytest.raises(RecipeError, match="k is 0"):
        several("1. automobile").search("car", 0)
