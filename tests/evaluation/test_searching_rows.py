"""Questions from rows, a folder of BEIR and TREC's files."""

import json
import lzma
import re

import pytest

from espalier.errors import RecipeError, RowError
from espalier.evaluation.searching import Depth, Wanted
from espalier.evaluation.searching_rows import read_questions
from espalier.formats.beir import write_beir
from espalier.formats.trec import write_qrels
from espalier.knowledge.store import Store
from espalier.pipelines import Pipeline
from tests.evaluation.searches import NOTES, make

pytest.importorskip("bm25s")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make(tmp_path_factory.mktemp("searches"))


@pytest.fixture
def store(made):
    with Store.open(made[0]) as store:
        yield store


def test_rows_with_gold_documents(made, store):
    found, left_out = read_questions(str(made[1]), store)
    assert [(one.id, one.wanted, one.language, one.found_in) for one in found[:1]] == [
        ("q1", (Wanted("kastel.md"),), "en", "en")
    ]
    assert found[-1].answers == () and not left_out
    assert len(read_questions(str(made[1]), store, limit=2)[0]) == 2


def test_rows_say_their_language_or_it_is_told_by_the_passage(tmp_path, store):
    rows = [
        {"question": "What is the capital?", "answers": ["x"], "gold": ["seoul.md"]},
        {"question": "Di mana?", "answers": ["x"], "lang": "id", "passages": ["The mill."], "gold": [0]},
        {"question": "Di mana?", "answers": ["y"], "lang": "id", "gold_lang": "en"},
        {"question": "Di mana?", "answers": ["y"], "lang": "id", "gold_lang": "en"},
    ]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    found, left_out = read_questions(str(file), store)
    assert [(one.language, one.found_in) for one in found] == [("en", "ko"), ("id", "id"), ("id", "en")]
    assert found[1].wanted == (Wanted(text="The mill."),) and sum(left_out.values()) == 1


def test_gold_is_a_passage_where_its_text_stands_in_the_document_and_else_the_document(tmp_path, store):
    def gold(text):
        row = {"question": "When?", "answers": ["1901"], "passages": [{"id": "mill.md", "text": text}], "gold": [0]}
        (tmp_path / "rows.jsonl").write_text(json.dumps(row), encoding="utf-8")
        return read_questions(str(tmp_path / "rows.jsonl"), store)[0][0].wanted

    assert gold("It burned  down in 1933.") == (Wanted(text="It burned  down in 1933."),)
    assert gold("A fire in 1933 destroyed the mill.") == (Wanted("mill.md"),)


def test_a_folder_of_beir_and_topics_with_qrels_are_the_same(tmp_path, store):
    queries = {"1": "mason of Kastel", "2": "mill"}
    qrels = {"1": {"kastel": 2.0, "mill": 0.0}, "2": {"mill": 1.0}}
    write_beir(tmp_path / "beir", [(name, "", text) for name, text in NOTES.items()], queries, qrels)
    (tmp_path / "topics.tsv").write_text("1\tmason of Kastel\n2\tmill\n3\tunjudged\n", encoding="utf-8")
    write_qrels(tmp_path / "qrels", qrels)
    one = read_questions(str(tmp_path / "beir"), store)[0]
    assert one == read_questions(str(tmp_path / "topics.tsv"), store, qrels=tmp_path / "qrels")[0]
    assert one[0].wanted[0] == Wanted("kastel", grade=2.0) and one[0].answers is None


def test_what_cannot_be_compared_is_refused(tmp_path, made, store):
    (tmp_path / "topics.tsv").write_text("1\tmill\n", encoding="utf-8")
    write_qrels(tmp_path / "qrels", {"1": {"elsewhere": 1.0}})
    with pytest.raises(RowError, match="none of its 1 relevant documents"):
        read_questions(str(tmp_path / "topics.tsv"), store, qrels=tmp_path / "qrels")
    write_qrels(tmp_path / "qrels", {"9": {"mill": 1.0}})
    with pytest.raises(RowError, match="judges none of the 1 queries"):
        read_questions(str(tmp_path / "topics.tsv"), store, qrels=tmp_path / "qrels")
    with pytest.raises(RecipeError, match="BEIR"):
        read_questions(str(made[1]), store, split="dev")
    (tmp_path / "texts.jsonl").write_text('{"text": "no question"}\n', encoding="utf-8")
    with pytest.raises(RowError, match="no question with answers"):
        read_questions(str(tmp_path / "texts.jsonl"), store)


@pytest.mark.data
def test_equals_what_is_known_of_cranfield(data_folder, tmp_path):
    from espalier.indexing import index

    def read(name):
        with lzma.open(data_folder / "retrieval/cranfield" / name, "rt", errors="replace") as file:
            return file.read()

    pattern = r"^\.I (\d+)\n\.T\n(.*?)^\.A\n.*?^\.W\n(.*?)(?=^\.I|\Z)"
    documents = re.findall(pattern, read("cran.all.1400.xz"), re.MULTILINE | re.DOTALL)
    texts = [part.partition(".W\n")[2] for part in read("cran.qry.xz").split(".I ")[1:]]
    qrels: dict[str, dict[str, float]] = {}
    for query, document, code in (line.split()[:3] for line in read("cranqrel.xz").splitlines()):
        qrels.setdefault(query, {})[document] = 5.0 - abs(int(code))
    folder = tmp_path / "cranfield"
    write_beir(folder, documents, {str(n): " ".join(text.split()) for n, text in enumerate(texts, 1)}, qrels)
    index(folder / "corpus.jsonl", tmp_path / "kb", size=20_000)
    with Store.open(tmp_path / "kb") as store:
        questions = read_questions(str(folder), store)[0]
        retriever = Pipeline.parse("bm25").retriever(store)
        found = [Depth(k=5, depth=10).scores(one.wanted, retriever.search(one.text, 10)) for one in questions]
    assert len(found) == 225
    assert sum(one["ndcg@10"] for one in found) / 225 == pytest.approx(0.50, abs=0.01)
