"""A folder becomes an index, and stays one."""

import lzma
import re
import sys
from types import SimpleNamespace

import pytest

from espalier import indexing
from espalier.analysis import _stemmed
from espalier.errors import RecipeError, RowError, RunError
from espalier.indexing import index
from espalier.knowledge.store import Store
from espalier.lexical import BLOB, LexicalIndex, known
from espalier.retrievers.dense import Dense


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in (("a.md", "# Tea\n\nGreen tea."), ("b.txt", "서울은 수도이다."), ("c.txt", "An old fox.")):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def found(kb, query):
    with Store.open(kb) as store:
        return [hit.document for hit in LexicalIndex.open(store).search(query, 9)]


def test_only_what_changed_is_read_and_found(docs, tmp_path):
    kb = tmp_path / "kb"
    first = index(docs, kb)
    assert (first.synced.added, first.synced.passages, first.size) == (3, 3, 700)
    assert first.bytes == kb.stat().st_size and first.seconds > 0
    (docs / "a.md").write_text("# Coffee\n\nBlack coffee.", encoding="utf-8")
    (docs / "c.txt").unlink()
    second = index(docs, kb).synced
    assert (second.added, second.changed, second.removed, second.unchanged) == (0, 1, 1, 1)
    assert found(kb, "coffee") == ["a.md"] and found(kb, "tea fox") == [] and found(kb, "수도는") == ["b.txt"]


def test_nothing_is_scored_again_without_need(docs, tmp_path, monkeypatch):
    scored = []
    put = Store.put_blob
    monkeypatch.setattr(Store, "put_blob", lambda *given: (scored.append(given[1]), put(*given)))
    for options in ({}, {}, {"k1": 1.2}, {}, {"k1": 1.2, "b": 0.75}, {"stem": False}):
        index(docs, tmp_path / "kb", **options)
    assert scored == [BLOB] * 4
    with Store.open(tmp_path / "kb") as store:
        assert {"k1": 1.2, "b": 0.75, "stem": False}.items() <= known(store)["options"].items()


def test_size_stays_as_it_was_unless_given(docs, tmp_path):
    (docs / "long.txt").write_text("A sentence of tea. " * 40, encoding="utf-8")
    small = index(docs, tmp_path / "kb", size=60)
    assert small.size == index(docs, tmp_path / "kb").size == 60
    large = index(docs, tmp_path / "kb", size=500)
    assert large.size == 500 and large.synced.recut == 4 and large.synced.passages < small.synced.passages


def test_the_manner_of_cutting_stays_as_it_was_unless_given(docs, tmp_path, monkeypatch):
    monkeypatch.setattr(
        indexing, "_length", lambda unit: None if unit == "characters" else lambda text: len(text.split())
    )
    (docs / "long.txt").write_text("A sentence of tea. " * 40, encoding="utf-8")
    kb = tmp_path / "kb"
    characters = index(docs, kb, chunker="sentence", overlap=40)
    assert (characters.unit, characters.synced.passages) == ("characters", index(docs, kb).synced.passages)
    assert index(docs, kb).synced.unchanged == 4
    tokens = index(docs, kb, tokens="sprout")
    assert (tokens.unit, tokens.size, tokens.synced.recut) == ("sprout", 200, 4)
    again = index(docs, kb)
    assert (again.unit, again.size, again.synced.unchanged) == ("sprout", 200, 4)
    with Store.open(kb) as store:
        assert (store.meta("chunker"), store.meta("overlap")) == ("sentence", "0")
    assert index(docs, kb, tokens="characters").size == 700


def test_tokens_are_counted_by_the_models_own_tokenizer(monkeypatch):
    tokenizer = SimpleNamespace(encode=lambda text, **options: text.split("-") if not options.pop("verbose") else None)
    load = SimpleNamespace(bundled=str.upper, load_tokenizer={"SPROUT": tokenizer}.__getitem__)
    monkeypatch.setitem(sys.modules, "espalier.models.load", load)
    count = indexing._length("sprout")
    assert count is not None and count("a-b-c") == 3 and indexing._length("characters") is None


def test_progress_tells_both_halves(docs, tmp_path):
    told = []
    index(docs, tmp_path / "kb", progress=lambda *what: told.append(what))
    assert told[2::3] == [("reading documents", 3, 3), ("scoring words", 3, 3)] and len(told) == 6


def test_an_interrupted_run_goes_on(docs, tmp_path):
    def stop(what, done, total):
        if what == "scoring words":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index(docs, tmp_path / "kb", progress=stop)
    with pytest.raises(RunError, match="not ready"):
        found(tmp_path / "kb", "tea")
    assert index(docs, tmp_path / "kb").synced.resumed == 3
    assert found(tmp_path / "kb", "tea") == ["a.md"]


def test_what_cannot_be_leaves_nothing_behind(docs, tmp_path):
    kb = tmp_path / "kb"
    with pytest.raises(RecipeError, match="k1 is -1"):
        index(docs, kb, k1=-1.0)
    with pytest.raises(RowError, match="no file or folder"):
        index(tmp_path / "nowhere", kb)
    (tmp_path / "void").mkdir()
    with pytest.raises(RowError, match="no documents"):
        index(tmp_path / "void", kb)
    with pytest.raises(RunError, match="inside"):
        index(docs, docs / "sub" / "kb")
    assert not kb.exists() and sorted(path.name for path in docs.iterdir()) == ["a.md", "b.txt", "c.txt"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"retrievers": ["tfidf"]}, "no method of retrievers named 'tfidf'. Did you mean 'tf_idf'"),
        ({"embedder": "minilm"}, "nothing embeds with 'minilm': name a retriever that does, such as dense"),
        ({"retrievers": ["tf_idf"], "embedder": "minilm"}, "nothing embeds with 'minilm'"),
    ],
)
def test_retrievers_that_cannot_be_leave_nothing_behind(docs, tmp_path, asked, sentence):
    with pytest.raises(RecipeError, match=re.escape(sentence)):
        index(docs, tmp_path / "kb", **asked)
    assert not (tmp_path / "kb").exists()
    index(docs, tmp_path / "kb")
    with pytest.raises(RecipeError, match=re.escape(sentence)):
        index(docs, tmp_path / "kb", **asked)
    assert index(docs, tmp_path / "kb").retrievers == ("bm25",)


def test_what_is_fused_is_kept_and_an_embedder_reaches_what_embeds(docs, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(Dense, "keep", lambda self, store, progress: kept.append(self.embedder))
    made = index(docs, tmp_path / "kb", retrievers=["hybrid"], embedder="some/model")
    assert made.retrievers == ("bm25", "dense")
    assert index(docs, tmp_path / "kb", retrievers=["bm25", "tf_idf"]).retrievers == ("bm25", "dense", "tf_idf")
    assert index(docs, tmp_path / "kb", embedder="another").retrievers == ("bm25", "dense", "tf_idf")
    assert kept == ["some/model", "some/model", "another"]


def test_a_good_index_survives_a_folder_that_is_empty_today(docs, tmp_path):
    index(docs, tmp_path / "kb")
    for path in docs.iterdir():
        path.unlink()
    with pytest.raises(RowError):
        index(docs, tmp_path / "kb")
    assert found(tmp_path / "kb", "tea") == ["a.md"]


def test_an_index_of_another_folder_is_refused(docs, tmp_path):
    index(docs, tmp_path / "kb")
    (tmp_path / "other").mkdir()
    with pytest.raises(RunError, match=r"kb is the index of \S+docs\. Give --out another file"):
        index(tmp_path / "other", tmp_path / "kb")
    assert found(tmp_path / "kb", "tea") == ["a.md"]


@pytest.mark.data
def test_learns_where_suva_is_from_the_factbook(data_folder, tmp_path):
    with lzma.open(data_folder / "text" / "factbook.jsonl.xz", "rt", encoding="utf-8") as file:
        rows = [line.strip() for line in file if '"South Korea"' in line or '"Fiji"' in line or '"France"' in line]
    (tmp_path / "countries.jsonl").write_text("\n".join(rows), encoding="utf-8")
    made = index(tmp_path / "countries.jsonl", tmp_path / "kb")
    assert made.synced.added == len(rows) >= 3
    assert found(tmp_path / "kb", "capital Suva")[0].endswith("/fj")


@pytest.mark.parametrize("missing", ["bm25s", "Stemmer"])
def test_what_is_not_installed_is_said_before_anything_is_made(tmp_path, monkeypatch, missing):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("Words to search.")
    _stemmed.cache_clear()
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(RunError, match=r"pip install 'espalier-lm\[retrieval\]'"):
        index(tmp_path / "docs", tmp_path / "kb")
    assert not (tmp_path / "kb").exists()
