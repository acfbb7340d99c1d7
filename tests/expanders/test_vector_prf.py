"""Rocchio's feedback with vectors: the formula, and what it finds."""

import numpy as np
import pytest

from espalier.contracts import Hit
from espalier.errors import RecipeError
from espalier.expanders.vector_prf import VectorPRF, rocchio_vector
from espalier.retrievers.bm25 import BM25
from espalier.retrievers.dense import Dense
from tests.sentence_models import Words

TEXTS = ("car automobile", "automobile museum", "green tea", "a dog runs fast")
HITS = [Hit(f"{number}.md", 0.0, text, "") for number, text in enumerate(TEXTS)]


def feedback(**options):
    return VectorPRF(Dense(Words()).index(HITS), **options)


def test_formula_the_query_moves_toward_the_mean():
    query, documents = np.float32([1, 0]), [np.float32([0, 1]), np.float32([0.6, 0.8])]
    assert rocchio_vector(query, documents, alpha=0.4, beta=0.6).tolist() == pytest.approx([0.58, 0.54], rel=1e-6)


def test_equals_the_formula_over_what_was_found():
    built, embed = feedback(documents=2), Words().embed
    first = built.retriever.search("car", 2)
    expected = 0.4 * embed(["car"])[0] + 0.6 * (embed([first[0].text])[0] + embed([first[1].text])[0]) / 2
    assert np.allclose(built.vector("car"), expected, atol=1e-6)  # float32
    assert built.search("car", 4) == built.retriever.search_vector(expected, 4)


def test_property_without_passages_it_is_the_plain_search():
    built = feedback(beta=0.0)
    assert [(hit.document, hit.score) for hit in built.search("car", 4)] == [
        (hit.document, pytest.approx(hit.score, abs=1e-6)) for hit in built.retriever.search("car", 4)
    ]


def test_learns_what_stands_beside_the_word_of_the_query():
    built = feedback(documents=1)
    plain = {hit.document: hit.score for hit in built.retriever.search("car", 4)}
    found = {hit.document: hit.score for hit in built.search("car", 4)}
    assert found["1.md"] > plain["1.md"] + 0.2 and list(found)[:2] == ["0.md", "1.md"]


def test_what_the_parts_add_is_the_score():
    built = feedback(documents=2)
    hit = built.search("car", 1)[0]
    shares = dict(built.explain("car", hit))
    assert shares.keys() == {"query", "2 passages"} and sum(shares.values()) == pytest.approx(hit.score, abs=1e-6)


def test_an_empty_query_finds_nothing():
    built = feedback()
    assert built.search(" ", 3) == [] and built.explain(" ", HITS[0]) == ()


def test_what_cannot_be_is_refused():
    with pytest.raises(RecipeError, match=r"write dense\+vector_prf"):
        VectorPRF(BM25().index(HITS))
    for options in ({"documents": 0}, {"alpha": -1.0}, {"alpha": 0.0, "beta": 0.0}):
        with pytest.raises(RecipeError, match="expanders/vector_prf"):
            feedback(**options)
