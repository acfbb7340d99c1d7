"""An index of terms as bytes, and what a store says of one it cannot use."""

import sys

import numpy as np
import pytest

from espalier.contracts import Hit
from espalier.errors import RunError
from espalier.indexing import index
from espalier.knowledge.store import Store
from espalier.lexical import BLOB, LexicalIndex, TermScores, known
from espalier.retrievers.bm25 import BM25


def test_scores_survive_as_bytes():
    scores = BM25().scores(["red 한글", "red fox"])
    again, about = TermScores.of_bytes(scores.to_bytes({"made": "by hand"}))
    assert about == {"made": "by hand"} and list(again.terms) == list(scores.terms) and again.passages == 2
    for name in ("values", "rows", "starts"):
        assert np.array_equal(getattr(again, name), getattr(scores, name))
    assert scores.to_bytes({}) == BM25().scores(["red 한글", "red fox"]).to_bytes({})  # the same every time


@pytest.fixture
def kb(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "fox.md").write_text("# Foxes\n\nA red fox.\n\n# Cats\n\nA cat.\n", encoding="utf-8")
    index(tmp_path / "docs", tmp_path / "kb")
    return tmp_path / "kb"


def test_an_index_opens_without_analyzing_and_finds_the_passages_of_its_store(kb, monkeypatch):
    monkeypatch.setattr(BM25, "scores", None)
    with Store.open(kb) as store:
        (found,) = LexicalIndex.open(store).search("red", 9)
        text = store.text(found.document)
    assert found.title == "Foxes" and text[found.start :].startswith(found.text) and "red fox" in found.text
    assert isinstance(found, Hit) and found.score > 0


def altered(kb, **changes):
    with Store.open(kb) as store:
        scores, about = TermScores.of_bytes(store.blob(BLOB))
        store.put_blob(BLOB, scores.to_bytes({**about, **changes}))


def test_another_analyzer_is_refused_and_indexing_again_cures_it(kb):
    altered(kb, analyzer="words-cjk-0")
    with (
        Store.open(kb) as store,
        pytest.raises(RunError, match=r"analyzer words-cjk-0, .* espalier index \S+docs --out"),
    ):
        LexicalIndex.open(store)
    index(kb.parent / "docs", kb)
    with Store.open(kb) as store:
        assert len(LexicalIndex.open(store)) == 2


def test_scores_of_other_documents_are_refused(kb):
    with Store.open(kb) as store:
        store.remove("fox.md")
        with pytest.raises(RunError, match=r"not ready: indexing was stopped .* espalier index"):
            LexicalIndex.open(store)


def test_an_index_without_scores_is_refused(tmp_path):
    with Store.create(tmp_path / "kb") as store:
        assert known(store) == {}
        with pytest.raises(RunError, match="not ready"):
            LexicalIndex.open(store)


def test_a_missing_package_is_one_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(RunError, match=r"searching needs bm25s: pip install 'espalier-lm\[retrieval\]'"):
        BM25().scores(["text"])


def test_question_words_find_nothing_unless_they_are_all_there_is():
    found = BM25().index([Hit("1", 0.0, "What do you do, and how?"), Hit("2", 0.0, "A fox runs.")])
    assert [hit.document for hit in found.search("What does the fox do?", 2)] == ["2"]
    assert [hit.document for hit in found.search("How?", 2)] == ["1"]


def test_a_query_of_terms_with_weights():
    found = BM25().index([Hit("1", 0.0, "red fox"), Hit("2", 0.0, "red dog")])
    one, two = found.search("fox dog", 2)
    assert one.score == two.score
    best, other = found.search_terms({"fox": 0.5, "dog": 2.0, "unknown": 9.0}, 2)
    assert (best.document, best.score) == ("2", pytest.approx(2 * two.score, rel=1e-6))
    assert (other.document, other.score) == ("1", pytest.approx(one.score / 2, rel=1e-6))


def test_what_terms_add_is_the_score_and_stands_as_in_the_query():
    built = BM25().index([Hit("1", 0.0, "A red fox."), Hit("2", 0.0, "A dog"), Hit("3", 0.0, "A red fox.")])
    found = built.search("Which foxes are red, really red?", 3)[1]
    shares = built.explain("Which foxes are red, really red?", found)
    assert found.document == "3" and {name for name, _ in shares} == {"foxes", "red"}
    assert sum(share for _, share in shares) == pytest.approx(found.score, rel=1e-6)
    assert built.explain("zebra", found) == () == built.explain("dog", found)


def test_a_hit_says_where_its_passage_stands(kb):
    with Store.open(kb) as store:
        found = LexicalIndex.open(store).search("red", 1)[0]
        assert found.place == getattr(next(store.passages()), "place", "")


def test_options_other_than_those_of_the_index_are_scored_anew(kb):
    with Store.open(kb) as store:
        kept = BM25().open(store).search("fox", 2)
        assert BM25(k1=0.0, b=0.0).open(store).search("fox", 2)[0].score != kept[0].score
        again = BM25(stem=False).open(store)
        assert again.search("foxes", 2)[0].document == "fox.md" and again.search("fox", 2)[0].title == "Foxes"
        assert kept == BM25(k1=0.9).open(store).search("fox", 2) == LexicalIndex.open(store).search("fox", 2)
