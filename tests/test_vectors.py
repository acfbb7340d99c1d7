"""The nearest vectors: as a loop finds them, and by a graph nearly all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.vectors import Graph, best, nearest, recall_of


def drawn(count, dimension=8, seed=0):
    vectors = np.random.default_rng(seed).standard_normal((count, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@given(st.integers(1, 3000), st.integers(1, 12), st.integers(1, 50), st.integers(0, 9))
def test_property_the_best_are_those_of_a_stable_sort(count, k, distinct, seed):
    scores = np.random.default_rng(seed).integers(0, distinct, count).astype(np.float32)
    assert best(scores, k).tolist() == np.argsort(-scores, kind="stable")[:k].tolist()


@pytest.mark.parametrize("k", [1, 7, 500])
def test_nearest_equals_a_loop(k):
    vectors, queries = drawn(300), drawn(5, seed=1)
    rows, scores = nearest(vectors, queries, k)
    for query, found, values in zip(queries, rows, scores, strict=True):
        expected = sorted(range(300), key=lambda row, query=query: -float(vectors[row] @ query))[:k]
        assert found.tolist() == expected
        assert values == pytest.approx([float(vectors[row] @ query) for row in expected], abs=1e-6)
    assert nearest(vectors, queries[:1], k)[0].tolist() == rows[:1].tolist()


def test_many_queries_are_taken_a_few_at_a_time(monkeypatch):
    vectors, queries = drawn(50), drawn(9, seed=1)
    whole = nearest(vectors, queries, 3)[0]
    monkeypatch.setattr("espalier.vectors._SCORES", 100)
    assert nearest(vectors, queries, 3)[0].tolist() == whole.tolist()


def test_a_graph_finds_what_is_in_it_and_nothing_that_was_removed():
    pytest.importorskip("usearch")
    vectors, numbers = drawn(400, 16), np.arange(10, 410)
    graph = Graph(16)
    graph.add(numbers, vectors)
    again = Graph(16, graph.to_bytes())
    assert len(again) == 400 and set(again.numbers()) == set(numbers)
    assert recall_of(again, numbers, vectors, efs=400) > 0.98  # it keeps them in half precision
    [exact] = nearest(vectors, vectors[:1], 3)[0]
    assert sorted(again.search(vectors[0], 3, 400)) == sorted(numbers[exact])
    again.remove([10])
    assert 10 not in again.search(vectors[0], 3, 400) and len(again) == 399
