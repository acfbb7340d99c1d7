"""RM3 by hand, against a loop over all documents, and on real collections."""

import lzma
import random
import re
from collections import Counter

import pytest

from espalier.contracts import Hit
from espalier.errors import RecipeError
from espalier.expanders.rm3 import RM3, relevance_model, rm3_weights
from espalier.maths.ranking import average_precision, recall
from espalier.retrievers.bm25 import BM25
from espalier.retrievers.dense import Dense
from tests.sentence_models import Words


def index(texts):
    return BM25().index([Hit(str(number), 0.0, text) for number, text in enumerate(texts)])


def test_formula_the_relevance_model():
    # P(d|q) is 3/4 and 1/4: red 1/2 * 3/4 + 1/4, fox 1/2 * 3/4
    found = relevance_model([{"red": 2, "fox": 2}, {"red": 1}], [3.0, 1.0], terms=10)
    assert found == pytest.approx({"red": 0.625, "fox": 0.375}, rel=1e-12)
    assert relevance_model([{"red": 2, "fox": 2}, {"red": 1}], [3.0, 1.0], terms=1) == {"red": 1.0}


def test_formula_half_the_query_and_half_what_it_found():
    found = rm3_weights({"fox": 1, "dog": 3}, {"red": 0.625, "fox": 0.375}, weight=0.5)
    assert found == pytest.approx({"fox": 0.125 + 0.1875, "dog": 0.375, "red": 0.3125}, rel=1e-12)
    assert sum(found.values()) == pytest.approx(1.0, rel=1e-12)


def test_equals_a_loop_over_all_documents():
    chance = random.Random(5)
    words = [f"w{number}" for number in range(30)]
    texts = [" ".join(chance.choices(words, range(1, 31), k=chance.randint(1, 25))) for _ in range(40)]
    built, query = RM3(index(texts), terms=4, documents=3, weight=0.3), "w3 w29 w29 unknown"
    first = built.retriever.search(query, 3)
    wanted = Counter()
    for hit in first:
        count = Counter(hit.text.split())
        for word in count:
            wanted[word] += count[word] / count.total() * hit.score / sum(one.score for one in first)
    best = wanted.most_common(4)
    expected = {word: 0.7 * weight / sum(value for _, value in best) for word, weight in best}
    for word, count in Counter(query.split()).items():
        expected[word] = expected.get(word, 0.0) + 0.3 * count / 4
    assert built.weights(query) == pytest.approx(expected, rel=1e-9)
    found = {hit.document: hit.score for hit in built.search(query, 40)}
    for number in map(str, range(40)):
        alone = {word: {h.document: h.score for h in built.retriever.search(word, 40)} for word in expected}
        total = sum(weight * alone[word].get(number, 0.0) for word, weight in expected.items())
        assert found.get(number, 0.0) == pytest.approx(total, rel=1e-5)  # scores are kept as float32


def test_property_the_query_alone_keeps_its_ranking():
    built = RM3(index(["red fox", "red dog", "red red cat", "bird"]), weight=1.0)
    assert [hit.document for hit in built.search("red fox", 9)] == [
        hit.document for hit in built.retriever.search("red fox", 9)
    ]


def test_learns_the_words_of_documents_that_the_query_does_not_know():
    texts = ["car engine automobile motor", "car automobile wheels", "automobile museum", "tea", "motor of a boat"]
    built = RM3(index(texts))
    assert {hit.document for hit in built.retriever.search("car", 9)} == {"0", "1"}
    found = [hit.document for hit in built.search("car", 9)]
    assert set(found[:2]) == {"0", "1"} and "2" in found and "3" not in found


def test_what_terms_add_is_the_score():
    built = RM3(index(["car engine automobile", "automobile museum", "tea"]))
    hit = built.search("Which car?", 9)[-1]
    shares = built.explain("Which car?", hit)
    assert [name for name, _ in shares] == ["automobil"]
    assert sum(share for _, share in shares) == pytest.approx(hit.score, rel=1e-6)


def test_a_query_that_finds_nothing_finds_nothing():
    assert RM3(index(["tea"])).search("zebra", 3) == [] == RM3(index(["tea"])).search(" ", 3)


def test_what_cannot_be_is_refused():
    with pytest.raises(RecipeError, match=r"write bm25\+rm3"):
        RM3(Dense(Words()).index([Hit("1", 0.0, "tea")]))
    for options in ({"terms": 0}, {"documents": 0}, {"weight": 1.5}):
        with pytest.raises(RecipeError, match="expanders/rm3"):
            RM3(index(["tea"]), **options)


def read(file):
    return lzma.open(file, "rt", encoding="utf-8").read()


def measured(retriever, queries, qrels, k=1000):
    runs = {number: [hit.document for hit in retriever.search(queries[number], k)] for number in qrels}
    return (
        sum(average_precision(runs[number], qrels[number]) for number in qrels) / len(qrels),
        sum(recall(runs[number], qrels[number], 100) for number in qrels) / len(qrels),
    )


@pytest.mark.data
def test_learns_to_find_more_of_cranfield(data_folder):
    folder = data_folder / "retrieval" / "cranfield"
    documents = re.findall(
        r"^\.I (\d+)\n\.T\n(.*?)^\.A\n.*?^\.W\n(.*?)(?=^\.I|\Z)", read(folder / "cran.all.1400.xz"), re.M | re.S
    )
    built = BM25().index([Hit(number, 0.0, text, title) for number, title, text in documents])
    parts = read(folder / "cran.qry.xz").split(".I ")[1:]
    queries = {str(number): part.partition(".W\n")[2] for number, part in enumerate(parts, 1)}
    qrels = {}
    for line in read(folder / "cranqrel.xz").splitlines():
        query, document, code = line.split()[:3]
        qrels.setdefault(query, {})[document] = 5.0 - abs(int(code))
    assert measured(built, queries, qrels, 100) == pytest.approx((0.401, 0.748), abs=0.005)
    assert measured(RM3(built), queries, qrels, 100) == pytest.approx((0.437, 0.787), abs=0.005)


@pytest.mark.data
def test_learns_to_find_more_of_vaswani(data_folder):
    folder = data_folder / "retrieval" / "vaswani"
    documents = re.findall(r"<DOCNO>(\d+)</DOCNO>(.*?)</DOC>", read(folder / "doc-text.trec.xz"), flags=re.S)
    built = BM25().index([Hit(number, 0.0, text) for number, text in documents])
    queries = dict(re.findall(r"<num>(\d+)</num><title>(.*?)</title>", read(folder / "query-text.trec.xz"), flags=re.S))
    qrels = {}
    for line in read(folder / "qrels.xz").splitlines():
        query, _, document, grade = line.split()
        qrels.setdefault(query, {})[document] = float(grade)
    assert measured(built, queries, qrels) == pytest.approx((0.286, 0.619), abs=0.005)
    assert measured(RM3(built), queries, qrels) == pytest.approx((0.304, 0.640), abs=0.005)
