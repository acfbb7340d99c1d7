"""Where what is judged stands among hits, and what that is worth."""

import math

import pytest

from espalier.contracts import Hit
from espalier.errors import RecipeError
from espalier.evaluation.searching import Depth, Question, Wanted, by_group, names_of, places_of


def hit(document, text="", start=0):
    return Hit(document, 1.0, text, start=start)


def test_a_document_counts_once_at_its_best_passage():
    hits = [hit("b.md"), hit("b.md", start=9), hit("notes/a.md"), hit("b.md", start=20), hit("c.jsonl#7")]
    assert places_of([Wanted("a.md", grade=2), Wanted("7")], hits) == ((2, 2), (3, 1))


def test_a_judgment_names_a_document_a_row_or_a_file():
    assert names_of("dir/a.jsonl#31#4") == ("dir/a.jsonl#31#4", "31#4", "4", "a.jsonl#31#4", "dir/a")
    assert names_of("a.md") == ("a.md", "a")


def test_a_passage_is_found_by_its_text_in_a_shorter_or_a_longer_one():
    wanted = [Wanted(text="born in\nKastel"), Wanted(text="He worked as a mason and died.")]
    hits = [hit("x", "Other."), hit("x", "He was born in Kastel. Later"), hit("x", "worked as a mason")]
    assert places_of(wanted, hits) == ((2, 1), (3, 1))
    assert places_of(wanted, [hit("x", "")]) == ()


def test_formula_measures():
    wanted = [Wanted("a", grade=2), Wanted("b"), Wanted("c", grade=0)]
    found = Depth(k=2, depth=3).scores(wanted, [hit("c"), hit("a"), hit("x"), hit("b")])
    assert found["ndcg@10"] == pytest.approx(2 / math.log2(3) / (2 + 1 / math.log2(3)), rel=1e-12)
    assert (found["recall@2"], found["recall@3"], found["reciprocal_rank"], found["average_precision"]) == (
        0.5, 0.5, 0.5, 0.25
    )  # fmt: skip
    strict = Depth(k=2, depth=4, least=2).scores(wanted, [hit("b"), hit("a")])
    assert (strict["recall@4"], strict["reciprocal_rank"]) == (1.0, 0.5)


def test_nothing_is_measured_where_nothing_is_relevant():
    assert Depth().scores([Wanted("a", grade=0)], [hit("a")]) == Depth().scores((), [hit("a")]) == {}


def test_property_two_passages_in_one_hit_are_no_better_than_the_best():
    found = Depth().scores([Wanted(text="one"), Wanted(text="two")], [hit("a", "one two")])
    assert set(found.values()) == {1.0}


def test_ranks_that_contradict_are_refused():
    with pytest.raises(RecipeError, match="k <= depth"):
        Depth(k=6, depth=5)


def test_groups_are_languages_and_crossings():
    made = [Question("1", "", (), None, "ko", "en"), Question("2", "", (), None, "en", "en"), Question("3", "")]
    assert by_group(made) == {"ko": ("1",), "cross-language": ("1",), "en": ("2",), "same language": ("2",)}
    assert by_group(made[1:2]) == {}
