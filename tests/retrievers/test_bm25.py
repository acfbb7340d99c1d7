"""BM25 by hand, against a naive loop, and on real collections."""

import json
import lzma
import math
import random
import re
from collections import Counter
from typing import get_args, get_type_hints

import pytest

from espalier.contracts import Hit
from espalier.errors import RecipeError, RowError
from espalier.maths.ranking import average_precision, ndcg, recall, reciprocal_rank
from espalier.retrievers.bm25 import BM25, bm25_score

VARIANTS = get_args(get_type_hints(BM25)["variant"])


def index(texts, **options):
    return BM25(**options).index([Hit(str(number), 0.0, text) for number, text in enumerate(texts)])


@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        # tf 2, df 3 of 10 documents, 12 terms where 8 are usual; k1 0.9, b 0.4: norm 0.6 + 0.4 * 1.5 = 1.2
        ("lucene", math.log(1 + 7.5 / 3.5) * 2 / (2 + 1.08)),
        ("robertson", math.log(7.5 / 3.5) * 2 / (2 + 1.08)),
        ("atire", math.log(10 / 3) * 1.9 * 2 / (2 + 1.08)),
        ("bm25l", math.log(11 / 3.5) * 1.9 * (2 / 1.2 + 0.5) / (0.9 + 2 / 1.2 + 0.5)),
        ("bm25+", math.log(11 / 3) * (1.9 * 2 / (2 + 1.08) + 1)),
    ],
)
def test_formula_bm25(variant, expected):
    options = {"mean": 8, "documents": 10, "k1": 0.9, "b": 0.4, "variant": variant}
    assert bm25_score(2, 3, 12, **options) == pytest.approx(expected, rel=1e-12)
    assert bm25_score(0, 3, 12, **options) == 0.0


def test_formula_robertson_gives_nothing_for_what_most_documents_have():
    assert bm25_score(2, 9, 8, mean=8, documents=10, k1=0.9, b=0.4, variant="robertson") == 0.0


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_a_loop_over_all_documents(variant):
    chance = random.Random(3)
    words = [f"w{number}" for number in range(30)]
    texts = [" ".join(chance.choices(words, range(1, 31), k=chance.randint(0, 25))) for _ in range(40)]
    query = ["w3", "w29", "w12", "w29", "unknown"]
    found = {
        hit.document: hit.score for hit in index(texts, k1=1.2, b=0.75, variant=variant).search(" ".join(query), 40)
    }
    counts = [Counter(text.split()) for text in texts]
    mean = sum(sum(count.values()) for count in counts) / len(counts)
    for number, count in enumerate(counts):
        options = {"mean": mean, "documents": len(texts), "k1": 1.2, "b": 0.75, "variant": variant}
        expected = sum(
            bm25_score(count[word], df, sum(count.values()), **options)
            for word in query
            if (df := sum(word in other for other in counts))
        )
        assert found.get(str(number), 0.0) == pytest.approx(expected, rel=1e-5)  # bm25s keeps scores as float32


def test_equals_bm25s_where_it_agrees_with_the_papers():
    bm25s = pytest.importorskip("bm25s")
    texts = ["red fox", "red red dog", "cat", "fox dog cat bird"]
    theirs = bm25s.BM25(k1=0.9, b=0.4)
    theirs.index([text.split() for text in texts], show_progress=False)
    scores = theirs.get_scores(["red", "dog"])
    found = index(texts).search("red dog", 4)
    assert [(hit.document, hit.score) for hit in found] == [(str(n), pytest.approx(scores[n])) for n in (1, 0, 3)]


def test_property_every_document_is_found_by_its_own_rare_word():
    texts = [f"common words and name{number}" for number in range(50)]
    built = index(texts)
    assert all(built.search(f"common name{number}", 1)[0].document == str(number) for number in range(50))


def test_property_equal_scores_keep_the_order_of_the_documents_for_any_k():
    built = index(["apple"] * 20 + ["apple pear"] + ["pear"] * 5)
    assert [hit.document for hit in built.search("apple", 7)] == [str(number) for number in range(7)]
    assert [hit.document for hit in built.search("apple", 999)] == [str(number) for number in range(21)]


@pytest.mark.parametrize("query", ["", "   ", "the of and", "zebra", "!?", "\x00"])
def test_a_query_without_a_known_word_finds_nothing(query):
    assert index(["apple", "pear the"]).search(query, 3) == []


def test_a_query_of_ten_thousand_words():
    assert [hit.document for hit in index(["apple", "pear"]).search("pear zebra " * 5_000, 3)] == ["1"]


def test_a_title_is_searched_and_comes_back():
    built = BM25().index([Hit("kr.md", 0.0, "It lies in Asia.", "Korea", 7), Hit("fr.md", 0.0, "It lies in Europe.")])
    found = built.search("Korea", 2)
    assert [(hit.document, hit.title, hit.start) for hit in found] == [("kr.md", "Korea", 7)] and found[0].score > 0


def test_documents_without_words_are_not_found_and_alone_are_refused():
    assert [hit.document for hit in index(["", "...", "pear"]).search("pear", 3)] == ["2"]
    with pytest.raises(RowError, match="none of the 2 passages"):
        index(["", "..."])


@pytest.mark.parametrize("options", [{"k1": -1.0}, {"k1": math.nan}, {"b": 1.5}, {"b": -0.1}])
def test_options_that_cannot_be(options):
    with pytest.raises(RecipeError, match="k1 is at least 0"):
        BM25(**options)


def test_k_is_at_least_one():
    with pytest.raises(RecipeError, match="k is -1"):
        index(["pear"]).search("pear", -1)


# Real collections: what the analyzer is worth.


def read(file):
    return lzma.open(file, "rt", encoding="utf-8").read()


def mean(values):
    values = list(values)
    return sum(values) / len(values)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "first", "reciprocal"), [("KorQuAD_v1.0_dev", 0.892, 0.931), ("xquad.zh", 0.932, 0.957)]
)
def test_equals_what_was_measured_for_korean_and_chinese(data_folder, name, first, reciprocal):
    articles = json.loads(read(data_folder / "qa" / f"{name}.json.xz"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    built = index([paragraph["context"] for paragraph in paragraphs], k1=1.2, b=0.75)
    found = [
        ([hit.document for hit in built.search(asked["question"], 10)], {str(number): 1.0})
        for number, paragraph in enumerate(paragraphs)
        for asked in paragraph["qas"]
    ]
    assert mean(recall(*one, 1) for one in found) == pytest.approx(first, abs=0.01)
    assert mean(reciprocal_rank(*one, 10) for one in found) == pytest.approx(reciprocal, abs=0.01)


@pytest.mark.data
def test_equals_what_is_known_of_cranfield(data_folder):
    folder = data_folder / "retrieval" / "cranfield"
    documents = re.findall(
        r"^\.I (\d+)\n\.T\n(.*?)^\.A\n.*?^\.W\n(.*?)(?=^\.I|\Z)", read(folder / "cran.all.1400.xz"), re.M | re.S
    )
    built = BM25().index([Hit(number, 0.0, text, title) for number, title, text in documents])
    assert len(built) == 1400
    queries = [part.partition(".W\n")[2] for part in read(folder / "cran.qry.xz").split(".I ")[1:]]
    qrels = {}
    for line in read(folder / "cranqrel.xz").splitlines():
        query, document, code = line.split()[:3]
        # 1 is a complete answer, 4 of minimum interest; one document a query has -1, and is found like a 1
        qrels.setdefault(query, {})[document] = 5.0 - abs(int(code))
    found = {str(n): [hit.document for hit in built.search(query, 10)] for n, query in enumerate(queries, 1)}
    assert mean(ndcg(found[query], qrels[query], 10) for query in qrels) == pytest.approx(0.50, abs=0.01)


@pytest.mark.data
def test_equals_what_is_known_of_vaswani(data_folder):
    folder = data_folder / "retrieval" / "vaswani"
    documents = re.findall(r"<DOCNO>(\d+)</DOCNO>(.*?)</DOC>", read(folder / "doc-text.trec.xz"), flags=re.S)
    built = BM25().index([Hit(number, 0.0, text) for number, text in documents])
    queries = dict(re.findall(r"<num>(\d+)</num><title>(.*?)</title>", read(folder / "query-text.trec.xz"), flags=re.S))
    qrels = {}
    for line in read(folder / "qrels.xz").splitlines():
        query, _, document, grade = line.split()
        qrels.setdefault(query, {})[document] = float(grade)
    found = {number: [hit.document for hit in built.search(query, 1000)] for number, query in queries.items()}
    assert mean(ndcg(found[query], qrels[query], 10) for query in qrels) == pytest.approx(0.43, abs=0.01)
    assert mean(average_precision(found[query], qrels[query]) for query in qrels) == pytest.approx(0.28, abs=0.01)


@pytest.mark.data
def test_equals_what_is_known_of_the_stored_order_of_dl19(data_folder):
    folder = data_folder / "retrieval" / "dl19"
    qrels = {}
    for line in read(folder / "qrels.dl19-passage.txt.xz").splitlines():
        query, _, document, grade = line.split()
        qrels.setdefault(query, {})[document] = float(grade)
    runs = {str(asked["hits"][0]["qid"]): asked["hits"] for asked in json.loads(read(folder / "bm25_dl19.json.xz"))}
    ranked = {query: [str(hit["docid"]) for hit in hits] for query, hits in runs.items()}
    assert ranked.keys() == qrels.keys() and len(ranked) == 43
    assert mean(ndcg(ranked[query], qrels[query], 10) for query in qrels) == pytest.approx(0.5058, abs=0.0001)
