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
