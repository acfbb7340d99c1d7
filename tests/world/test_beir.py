"""Search over the world in BEIR's files."""

import csv
import json

import pytest

from espalier.errors import RecipeError, RunError
from espalier.knowledge.documents import read_rows
from espalier.world.beir import ANSWERS, RELATED, doc2query, pairs, search, write_beir
from espalier.world.facts import MUTUAL, World

WORLD = World.make(80, split="test", seed=4)


@pytest.mark.parametrize(("language", "asked"), [("en", "en"), ("ko", "ko"), ("en", "ko")])
def test_relevance_is_two_for_the_answer_and_one_for_the_same_entity(language, asked):
    found = search(WORLD, 60, language=language, asked=asked)
    for query, fact in found.wanted.items():
        grades = found.relevance[query]
        for name, passage in found.passages.items():
            facts = [sentence.fact for sentence in passage.sentences if sentence.fact]
            told = fact in facts or any(
                fact.relation in MUTUAL and (one.relation, one.value) == (fact.relation, fact.subject.name)
                for one in facts
            )
            expected = ANSWERS if told else RELATED if passage.entity == fact.subject else 0
            assert grades.get(name, 0) == expected
        assert ANSWERS in grades.values()


def test_every_fact_stands_in_one_passage():
    found = search(WORLD, 10)
    told = [sentence.fact for passage in found.passages.values() for sentence in passage.sentences if sentence.fact]
    assert len(told) == len(set(told)) and set(told) == set(WORLD.all_facts())


def test_files_are_beirs(tmp_path):
    found = search(WORLD, 30, 7)
    write_beir(found, tmp_path / "beir")
    corpus = [json.loads(line) for line in (tmp_path / "beir/corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    queries = [json.loads(line) for line in (tmp_path / "beir/queries.jsonl").read_text(encoding="utf-8").splitlines()]
    assert all(row.keys() == {"_id", "title", "text"} for row in corpus) and len(corpus) == len(found.passages)
    assert all(row.keys() == {"_id", "text"} for row in queries) and len(queries) == 30
    with (tmp_path / "beir/qrels/test.tsv").open(encoding="utf-8", newline="") as file:
        qrels = list(csv.DictReader(file, delimiter="\t"))
    assert list(qrels[0]) == ["query-id", "corpus-id", "score"]
    assert {row["query-id"] for row in qrels} == {row["_id"] for row in queries}
    assert {row["corpus-id"] for row in qrels} <= {row["_id"] for row in corpus}
    assert {row["score"] for row in qrels} == {"1", "2"}
    read = list(read_rows(tmp_path / "beir/corpus.jsonl", "corpus.jsonl"))
    assert [document.text for document in read] == [row["text"] for row in corpus]
    with pytest.raises(RunError, match="not an empty folder"):
        write_beir(found, tmp_path / "beir")


def test_pairs_hold_the_answer_and_negatives_do_not():
    found = search(WORLD, 40)
    for row, (query, fact) in zip(pairs(found), found.wanted.items(), strict=True):
        assert row["query"] == found.queries[query]
        assert fact.value.lower() in row["document"].lower() and row["document"] not in row["negatives"]
        answering = {found.passages[name].text for name, grade in found.relevance[query].items() if grade == ANSWERS}
        assert not answering & set(row["negatives"]) and 2 <= len(row["negatives"]) <= 4
    assert list(pairs(found, 1)) == list(pairs(found, 1)) != list(pairs(found, 2))


@pytest.mark.parametrize("asked", ["en", "ko"])
def test_each_document_has_a_query_for_each_of_its_facts(asked):
    found = search(WORLD, 1, asked=asked)
    for row, passage in zip(doc2query(found), found.passages.values(), strict=True):
        assert row["document"] == passage.text
        assert len(row["queries"]) == sum(sentence.fact is not None for sentence in passage.sentences)
        assert all(query.endswith("?") or query.endswith(".") for query in row["queries"])


def test_the_same_seed_is_the_same_search():
    assert search(WORLD, 20, 1) == search(WORLD, 20, 1) != search(WORLD, 20, 2)


def test_more_queries_than_facts_are_refused():
    with pytest.raises(RecipeError, match="has no 100000 queries"):
        search(WORLD, 100_000)
