"""A search in PostgreSQL: the real server, started for these tests, beside our own exact search."""

import os
import shutil
import tempfile
from dataclasses import dataclass

import numpy as np
import pytest

from espalier import postgres_tables
from espalier.catalogue import method
from espalier.contracts import Hit
from espalier.errors import RecipeError, RunError
from espalier.indexing import index
from espalier.knowledge.store import Store
from espalier.postgres import VARIABLE, Server
from espalier.postgres_tables import Tables
from espalier.retrievers import postgres
from espalier.retrievers.bm25 import BM25
from espalier.retrievers.postgres import SCHEMA, Postgres
from espalier.searching import as_hit, searched

pytest.importorskip("pg8000")
TEXTS = ["red fox", "red red dog", "한국의 수도는 서울", "fox dog cat bird", "", "the fox\tand\\the\nred"]


@pytest.fixture(scope="module")
def address():
    """A server of its own, in a folder that its user may enter."""
    folder = tempfile.mkdtemp(prefix="espalier-postgres-")
    os.chmod(folder, 0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)  # where pgserver keeps its locks
        pgserver = pytest.importorskip("pgserver")
        server = pgserver.get_server(os.path.join(folder, "data"))
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def served(address, monkeypatch):
    monkeypatch.setenv(VARIABLE, address)


def hits(texts):
    return [Hit(f"{number}\t.md", 0.0, text, start=number) for number, text in enumerate(texts)]


@pytest.mark.parametrize(
    "query", ["red", "fox dog", "red red fox", "수도", "the", "unknown", "", "'; DROP TABLE x; --"]
)
def test_equals_bm25(served, query):
    found = Postgres(k1=1.2, b=0.75).index(hits(TEXTS)).search(query, 9)
    exact = BM25(k1=1.2, b=0.75).index(hits(TEXTS)).search(query, 9)
    assert [(hit.document, hit.text) for hit in found] == [(hit.document, hit.text) for hit in exact]
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in exact], rel=1e-5)  # those are float32


def test_formula_what_terms_add_is_the_score(served):
    found = Postgres().index(hits(TEXTS))
    best = found.search("red dog", 1)[0]
    shares = found.explain("red dog", best)
    assert [term for term, _ in shares] == ["dog", "red"] and sum(share for _, share in shares) == pytest.approx(
        best.score
    )


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in (("a.md", "# Tea\n\nGreen tea."), ("b.txt", "서울은 수도이다."), ("c.txt", "An old fox.")):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def found(kb, query, **options):
    with Store.open(kb) as store:
        return [(hit.document, hit.score) for hit in Postgres(**options).open(store).search(query, 9)]


def test_only_what_changed_is_written(served, docs, tmp_path, monkeypatch):
    written = []
    add = Tables.add
    monkeypatch.setattr(Tables, "add", lambda self, rows: (written.append(len(rows)), add(self, rows)))
    kb = tmp_path / "kb"
    assert index(docs, kb, retrievers=["postgres"]).retrievers == ("bm25", "postgres")
    (docs / "a.md").write_text("# Coffee\n\nBlack coffee.", encoding="utf-8")
    (docs / "c.txt").unlink()
    index(docs, kb)
    index(docs, kb)
    assert written == [3, 1]
    assert found(kb, "tea fox") == [] and [name for name, _ in found(kb, "coffee 수도")] == ["b.txt", "a.md"]
    with Store.open(kb) as store:
        exact = [(hit.document, pytest.approx(hit.score, rel=1e-5)) for hit in BM25().open(store).search("coffee", 9)]
    assert found(kb, "coffee") == exact


def test_a_stopped_run_changes_nothing(served, docs, tmp_path):
    kb = tmp_path / "kb"
    index(docs, kb, retrievers=["postgres"])
    before = found(kb, "tea")
    (docs / "a.md").write_text("# Coffee\n\nBlack coffee.", encoding="utf-8")

    def stop(what, done, total):
        if what.startswith("writing"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index(docs, kb, progress=stop)
    assert found(kb, "tea") == before and not found(kb, "coffee")
    index(docs, kb)
    assert [name for name, _ in found(kb, "coffee")] == ["a.md"]


@method(paper="")
@dataclass(frozen=True)
class Letters:
    """Counts of a few letters."""

    name: str = "letters"

    def embed(self, texts, *, query=False):
        counts = np.array([[text.count(letter) for letter in "abcdefgo한국"] for text in texts], np.float32)
        lengths = np.linalg.norm(counts, axis=1, keepdims=True)
        return np.divide(counts, lengths, out=np.zeros_like(counts), where=lengths > 0)


def test_equals_exact_search_of_vectors(served, docs, tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "open_embedder", lambda name: Letters())
    kb, embedder = tmp_path / "kb", Letters()
    (docs / "0.txt").write_text("!!!", encoding="utf-8")  # no letter, no vector
    index(docs, kb, retrievers=["postgres"], embedder="letters")
    with Store.open(kb) as store:
        texts = {one.document: searched(as_hit(one)) for one in store.passages() if one.document != "0.txt"}
    cosines = embedder.embed(list(texts.values())) @ embedder.embed(["good food"])[0]
    exact = sorted(zip(texts, cosines.tolist(), strict=True), key=lambda pair: -pair[1])
    near = found(kb, "good food", by="vectors")
    assert [name for name, _ in near] == [name for name, _ in exact]
    assert [score for _, score in near] == pytest.approx([score for _, score in exact], abs=1e-6)
    assert found(kb, "tea") and near[0][0] == "c.txt"


def test_vectors_that_are_not_kept_are_refused(served, docs, tmp_path):
    index(docs, tmp_path / "kb", retrievers=["postgres"])
    with pytest.raises(RunError, match=r"keeps no vectors. Index again with --retriever postgres --embedder"):
        found(tmp_path / "kb", "tea", by="vectors")


def test_an_index_without_it_and_one_of_another_analyzer_are_refused(served, docs, tmp_path):
    index(docs, tmp_path / "kb")
    with pytest.raises(RunError, match=r"keeps nothing for postgres.*--retriever postgres"):
        found(tmp_path / "kb", "tea")
    index(docs, tmp_path / "kb", retrievers=["postgres"])
    with pytest.raises(RunError, match="terms of the analyzer"):
        found(tmp_path / "kb", "tea", stem=False)


def test_a_name_that_an_index_cannot_have_is_never_sent(served, docs, tmp_path):
    index(docs, tmp_path / "kb")
    with Store.open(tmp_path / "kb") as store:
        store.set_meta(SCHEMA, "public; DROP SCHEMA public")
    with pytest.raises(RunError, match="is not the name of an index"):
        found(tmp_path / "kb", "tea")


def test_what_the_server_refuses_is_one_sentence(served):
    with pytest.raises(RunError, match=r'refuses: relation "pg_temp.passages" does not exist\.$'):
        Tables(Server(), postgres_tables.TEMPORARY).numbers()


@pytest.mark.parametrize(
    ("address", "error", "sentence"),
    [
        ("", RecipeError, "ESPALIER_POSTGRES is not set; set it to postgresql://USER"),
        ("mysql://host/x", RecipeError, "another kind of address"),
        ("postgresql://me:secret@127.0.0.1:9/x", RunError, "127.0.0.1:9 does not answer"),
        ("postgresql:///x?host=/nowhere", RunError, "/nowhere does not answer"),
        ("postgresql://host:many/x", RecipeError, "another kind of address"),
        ("postgresql://host/x?sslmode=sometimes", RecipeError, "another kind of address"),
        ("postgresql://me@127.0.0.1:9/x?sslmode=verify-full", RunError, "127.0.0.1:9 does not answer"),
    ],
)
def test_a_server_that_is_away_is_one_sentence_without_the_password(address, error, sentence, monkeypatch):
    monkeypatch.setenv(VARIABLE, address)
    with pytest.raises(error, match=sentence) as caught:
        Server()
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_server_that_goes_away_is_one_sentence(address):
    server = Server(address)
    server.rows("SELECT 1")
    with pytest.raises(RunError, match=r"PostgreSQL at .* (refuses|does not answer)"):
        server.rows("SELECT pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(RunError, match="does not answer"):
        server.rows("SELECT 1")


@pytest.mark.parametrize("options", [{"k1": -1.0}, {"b": 2.0}])
def test_options_that_cannot_be(options):
    with pytest.raises(RecipeError, match="k1 is at least 0"):
        Postgres(**options)


def test_k_is_at_least_one(served):
    with pytest.raises(RecipeError, match="k is 0"):
        Postgres().index(hits(TEXTS)).search("red", 0)
