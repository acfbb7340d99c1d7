"""The nearest of many vectors: by one matrix product, or by a graph (HNSW: Malkov and Yashunin, 2018) where many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from espalier.errors import RunError

Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

_SCORES = 1 << 24  # scores that are in memory at once
_STRETCH = 256  # scores


def best(scores: Vectors, k: int) -> Rows:
    """The places of the k highest scores, highest first; of equal ones the earlier. [k]"""
    places = np.arange(len(scores))
    if k * _STRETCH <= len(scores):
        # the k-th highest is at least the k-th of the highest of each stretch, which are found without a partition
        highest = scores[: len(scores) // _STRETCH * _STRETCH].reshape(-1, _STRETCH).max(1)
        places = np.flatnonzero(scores >= np.partition(highest, -k)[-k])
    if k < len(places):
        found = scores[places]
        places = places[found >= np.partition(found, -k)[-k]]
    return places[np.argsort(-scores[places], kind="stable")][:k]


def nearest(vectors: Vectors, queries: Vectors, k: int) -> tuple[Rows, Vectors]:
    """For each query the k vectors with the highest product, or all if there are fewer.

    Args:
        vectors: what is searched. [D, H]
        queries: of any number; so many at a time that their scores fit into memory. [Q, H]
        k: how many.

    Returns:
        Their rows and their products, highest first. [Q, k]
    """
    k, at_once = min(k, len(vectors)), max(1, _SCORES // max(1, len(vectors)))
    rows, scores = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    for start in range(0, len(queries), at_once):
        part = queries[start : start + at_once]
        products = (vectors @ part[0])[None] if len(part) == 1 else part @ vectors.T  # a vector's product is faster
        for place, values in enumerate(products, start):
            rows[place] = best(values, k)
            scores[place] = values[rows[place]]
    return rows, scores


class Graph:
    """An HNSW graph over vectors of length 1, each under its number; usearch keeps it, with vectors in half precision.

    Args:
        dimension: numbers of a vector.
        data: what `to_bytes` gave.
    """

    def __init__(self, dimension: int, data: bytes | None = None) -> None:
        try:
            from usearch.index import Index
        except ImportError:
            raise RunError(
                "searching so many passages by a graph needs usearch: pip install 'espalier-lm[retrieval]'; "
                "or set ann to 'exact'."
            ) from None
        self._index: Any = Index(ndim=dimension, metric="ip", dtype="f16", connectivity=32, expansion_add=128)
        if data is not None:
            self._index.load(data)

    def __len__(self) -> int:
        return len(self._index)

    def numbers(self) -> Rows:
        """The numbers of all vectors. [D]"""
        return np.array(self._index.keys[:], np.int64)

    def add(self, numbers: Rows, vectors: Vectors) -> None:
        """Add vectors."""
        if len(numbers):
            self._index.add(numbers, vectors)

    def remove(self, numbers: Iterable[int]) -> None:
        """Forget vectors."""
        for number in numbers:
            self._index.remove(int(number))

    def search(self, query: Vectors, k: int, efs: int) -> Rows:
        """The numbers of about the k nearest to a query, in any order. [k]

        Args:
            query: a vector of length 1. [H]
            k: how many.
            efs: how many are held while searching; more find more, and take longer.
        """
        self._index.expansion_search = max(efs, k)
        return np.array(self._index.search(query, min(k, len(self))).keys, np.int64)

    def to_bytes(self) -> bytes:
        """All of it."""
        return bytes(self._index.save())


def recall_of(graph: Graph, numbers: Rows, vectors: Vectors, *, k: int = 10, efs: int, asked: int = 200) -> float:
    """The share of the k exactly nearest that a graph finds, over a sample of the vectors themselves as queries.

    Args:
        graph: what is measured.
        numbers: of the vectors, ascending. [D]
        vectors: [D, H]
        k: how many each asks for.
        efs: of the search.
        asked: how many ask.
    """
    sample = np.random.default_rng(0).choice(len(vectors), min(asked, len(vectors)), replace=False)
    rows, _ = nearest(vectors, vectors[sample], k)
    found = [graph.search(vectors[one], k, efs) for one in sample]
    same = [len(np.intersect1d(numbers[exact], near)) for exact, near in zip(rows, found, strict=True)]
    return float(np.sum(same)) / max(1, rows.size)
