"""query2doc: how query and passage are put together, and its examples."""

import json

import pytest

from espalier.contracts import Hit
from espalier.errors import RecipeError, RowError
from espalier.expanders.query2doc import INSTRUCTION, Query2doc, dense_query, sparse_query
from espalier.lm.scripted import Scripted
from espalier.retrievers.bm25 import BM25
from espalier.retrievers.dense import Dense
from tests.sentence_models import Words

HITS = [Hit("car.md", 0.0, "An automobile has four wheels."), Hit("tea.md", 0.0, "Green tea steeps.")]


def expanded(*replies, retriever=None, **options):
    return Query2doc(Scripted(*replies), retriever or BM25().index(HITS), **options)


def test_formula_sparse_and_dense():
    assert sparse_query("a b", "c.", repeats=3) == "a b a b a b c."
    assert dense_query("a b", "c.", separator="[SEP]") == "a b [SEP] c."


def test_formula_five_queries_and_the_passage_for_words_and_a_separator_for_vectors():
    assert expanded("Passage: A car\nis an automobile.").rewrite("car") == "car car car car car A car is an automobile."
    dense = Dense(Words()).index(HITS)
    assert expanded("tea", retriever=dense).rewrite("drink") == "drink [SEP] tea"
    assert expanded("tea", retriever=dense, separator="</s>").rewrite("drink") == "drink </s> tea"
    assert expanded("tea", retriever=dense, form="sparse", repeats=2).rewrite("drink") == "drink drink tea"
    assert expanded("tea", form="dense").rewrite("drink") == "drink [SEP] tea"


def test_learns_words_that_the_query_lacks():
    built = expanded("A car is an automobile.")
    assert built.retriever.search("car", 2) == []
    (hit,) = built.search("car", 2)
    assert hit.document == "car.md" and dict(built.explain("car", hit)).keys() == {"automobile"}
    (call,) = built.lm.calls
    assert (call.n, call.temperature, call.max_tokens, call.prompt) == (
        1, 1.0, 128, f"{INSTRUCTION}\n\nQuery: car\nPassage:"
    )  # fmt: skip


@pytest.mark.parametrize(("reply", "query"), [("", "tea"), ("<think>hm", "tea"), ("never said", " ")])
def test_without_a_passage_the_query_stays(reply, query):
    assert expanded(reply).rewrite(query) == query


def test_examples_are_the_users_own(tmp_path):
    file = tmp_path / "examples.jsonl"
    rows = [{"query": f"q{number}", "document": f"d{number}\nand more"} for number in range(6)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    built = expanded("x", examples=str(file))
    built.rewrite("car")
    shown = [f"Query: q{number}\nPassage: d{number} and more" for number in range(4)]
    assert built.lm.calls[0].prompt == "\n\n".join([INSTRUCTION, *shown, "Query: car\nPassage:"])


def test_examples_of_other_columns_are_refused(tmp_path):
    file = tmp_path / "examples.jsonl"
    file.write_text('{"q": "a", "d": "b"}\n', encoding="utf-8")
    with pytest.raises(RowError, match="query"):
        expanded("x", examples=str(file)).rewrite("car")


@pytest.mark.parametrize("options", [{"repeats": 0}, {"shots": 0}])
def test_options_that_cannot_be(options):
    with pytest.raises(RecipeError, match="at least 1"):
        expanded(**options)
