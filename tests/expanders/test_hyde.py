"""HyDE: the vector it searches by, and what it leaves alone."""

import numpy as np
import pytest

from espalier.contracts import Hit
from espalier.errors import RecipeError
from espalier.expanders.hyde import INSTRUCTION, HyDE, hyde_vector
from espalier.lm.scripted import Scripted
from espalier.pipelines import Pipeline
from espalier.retrievers.bm25 import BM25
from espalier.retrievers.dense import Dense
from tests.sentence_models import Words

TEXTS = ("the cat sat on the mat", "green tea and black tea", "a dog runs fast")
HITS = [Hit(f"{number}.md", 0.0, text) for number, text in enumerate(TEXTS)]


def hyde(*replies, **options):
    return HyDE(Scripted(*replies), Dense(Words()).index(HITS), **options)


def test_formula_the_mean_of_the_documents_and_the_query():
    query, first, second = np.float32([1, 0]), np.float32([0, 1]), np.float32([0.6, 0.8])
    assert hyde_vector(query, [first, second]).tolist() == pytest.approx([1.6 / 3, 1.8 / 3], rel=1e-6)
    assert hyde_vector(query, []).tolist() == query.tolist()


def test_formula_eight_passages_and_the_query_make_nine_vectors():
    built = hyde(*(f"tea {word}" for word in ("green", "black", "cat", "dog", "mat", "on", "the", "fast")))
    seen = []
    built.retriever.search_vector = lambda vector, k: seen.append(vector) or []
    built.search("which drink", 3)
    embed = Words().embed
    nine = [embed(["which drink"])[0], *(embed([reply])[0] for reply in built.lm.replies)]
    assert np.allclose(seen[0], sum(nine) / 9, atol=1e-7) and not np.isclose(np.linalg.norm(seen[0]), 1)  # float32
    (call,) = built.lm.calls
    assert (call.n, call.temperature, call.max_tokens) == (8, 0.7, 512)
    assert call.prompt == f"{INSTRUCTION}\nQuestion: which drink"


def test_property_no_passage_is_the_plain_search():
    built = hyde(n=0)
    assert built.search("black cat", 3) == built.retriever.search("black cat", 3) and not built.lm.calls
    silent = hyde("", " \n", n=2)
    assert silent.search("black cat", 3) == silent.retriever.search("black cat", 3)
    assert silent.explain("black cat", HITS[0]) == silent.retriever.explain("black cat", HITS[0])
    assert hyde().search(" ", 3) == []


def test_learns_what_the_query_does_not_say():
    built = hyde("green tea", "black tea", n=2)
    assert built.retriever.search("the drink", 1)[0].document == "0.md"
    assert built.search("the drink", 1)[0].document == "1.md"


def test_what_texts_add_is_the_score_and_asks_no_model_again():
    built = hyde("green tea\n\n\nand a second text", "<think>hm</think>black tea", n=2)
    best = built.search("the drink", 1)[0]
    shares = built.explain("the drink", best)
    assert {name for name, _ in shares} == {"the drink", "green tea", "black tea"}
    assert sum(share for _, share in shares) == pytest.approx(best.score, abs=1e-6)  # float32
    assert len(built.lm.calls) == 1


def test_passages_in_a_language():
    built = hyde("tea", n=1, language="Korean")
    built.search("차\nQuestion: ?", 1)
    assert built.lm.calls[0].prompt == f"{INSTRUCTION} Write it in Korean.\nQuestion: 차 Question: ?"


def test_a_retriever_without_vectors_is_refused_before_a_model_is_asked():
    with pytest.raises(RecipeError, match=r"only dense can: write dense\+hyde"):
        HyDE(Scripted("x"), BM25().index(HITS))
    with pytest.raises(RecipeError, match="n is -1"):
        hyde(n=-1)


def test_it_is_a_part_of_a_pipeline():
    stage = Pipeline.parse("dense+hyde", ["hyde.n=2"]).stages[1]
    assert (stage.address, stage.options, stage.asks) == ("expanders/hyde", {"n": 2}, True)
