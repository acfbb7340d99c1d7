"""Fused rankings by hand, with what each retriever said of a hit."""

import pytest

from espalier.contracts import Hit, Part
from espalier.errors import RecipeError, RunError
from espalier.indexing import index
from espalier.knowledge.store import Store
from espalier.retrievers.hybrid import Fused, Hybrid

LEXICAL = ("bm25", "tf_idf")


class Listed:
    """A retriever that finds what it was given."""

    def __init__(self, *found):
        self.hits = [Hit(name, score, name) for name, score in found]

    def search(self, query, k):
        return self.hits[:k]


def fused(fusion, weights=(1.0, 1.0), depth=100):
    words, meaning = Listed(("a", 9.0), ("b", 5.0), ("c", 1.0)), Listed(("c", 0.9), ("d", 0.5))
    return Fused({"words": words, "meaning": meaning}, weights, fusion, 60.0, depth)


def test_formula_ranks():
    found = fused("ranks").search("?", 9)
    expected = {"c": 1 / 63 + 1 / 61, "a": 1 / 61, "b": 1 / 62, "d": 1 / 62}  # of equals the first retriever's first
    assert [(hit.document, hit.score) for hit in found] == [(n, pytest.approx(s)) for n, s in expected.items()]
    assert found[0].parts == (Part("words", 3, 1.0), Part("meaning", 1, 0.9))
    assert fused("ranks").explain("?", found[0]) == (("meaning", 1 / 61), ("words", 1 / 63))


def test_formula_scores():
    found = fused("scores", (0.75, 0.25)).search("?", 9)
    expected = {"a": 0.75, "b": 0.75 * 0.5, "c": 0.75 * 0 + 0.25 * 1, "d": 0.0}
    assert [(hit.document, hit.score) for hit in found] == [(n, pytest.approx(s)) for n, s in expected.items()]
    assert fused("scores", (0.75, 0.25)).explain("?", found[1]) == (("words", 0.375),)


def test_property_a_longer_list_begins_with_the_shorter():
    names = [hit.document for hit in fused("ranks").search("?", 9)]
    assert all([hit.document for hit in fused("ranks").search("?", k)] == names[:k] for k in range(1, 5))


def test_a_hit_beyond_the_depth_takes_no_part_unless_as_many_are_asked_for():
    assert [hit.document for hit in fused("ranks", depth=1).search("?", 1)] == ["a"]
    assert len(fused("ranks", depth=1).search("?", 3)) == 3


def test_property_weights_of_scores_are_divided_by_their_sum():
    documents = [Hit("a", 0.0, "red fox"), Hit("b", 0.0, "red red dog")]
    one, two = (Hybrid(LEXICAL, "scores", weights).index(documents) for weights in ((1.0, 3.0), (0.25, 0.75)))
    assert one.search("red fox", 2) == two.search("red fox", 2) != []


def test_an_index_keeps_each_of_its_retrievers(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("green tea")
    (tmp_path / "docs" / "b.txt").write_text("green coffee")
    kb, method = tmp_path / "kb", Hybrid(LEXICAL)
    index(tmp_path / "docs", kb)
    with Store.open(kb) as store:
        with pytest.raises(RunError, match=r"keeps nothing for tf_idf.*--retriever tf_idf"):
            method.open(store)
        method.keep(store, lambda *_: None)
        found = method.open(store).search("coffee", 5)
        assert [(hit.document, [part.stage for part in hit.parts]) for hit in found] == [("b.txt", list(LEXICAL))]
        assert method.open(store).search("the", 5) == []


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"retrievers": ("bm25",)}, "two retrievers or more"),
        ({"retrievers": ("bm25", "bm25")}, "each once"),
        ({"retrievers": ("bm25", "bm26")}, "Did you mean 'bm25'"),
        ({"weights": (1.0,)}, "one for each of bm25, dense"),
        ({"weights": (0.0, 0.0)}, "one for each"),
        ({"weights": (2.0, -1.0)}, "at least 0"),
        ({"depth": 0}, "depth at least 1"),
    ],
)
def test_options_that_cannot_be(options, sentence):
    with pytest.raises(RecipeError, match=sentence):
        Hybrid(**options)


def test_k_is_at_least_one():
    with pytest.raises(RecipeError, match="k is 0"):
        fused("ranks").search("?", 0)
