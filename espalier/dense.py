"""A search by vectors: the passages whose directions are nearest to that of the query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from espalier.contracts import Embedder, Hit
from espalier.embedding import unit
from espalier.errors import ModelError, RecipeError
from espalier.knowledge.chunks import sentences
from espalier.searching import at_least_one, searched
from espalier.vectors import Graph, Rows, Vectors, nearest


class DenseIndex:
    """A retriever: passages by the cosine of their vector and the query's.

    Args:
        vectors: of the passages, of length 1. [D, H]
        passage: the passage of a row of the vectors.
        embedder: that made them.
        graph: over the vectors, if they are not all to be looked at; with the number of each row, ascending.
        numbers: those numbers. [D]
        efs: how many the search in the graph holds.
    """

    def __init__(
        self,
        vectors: Vectors,
        passage: Callable[[int], Hit],
        embedder: Embedder,
        *,
        graph: Graph | None = None,
        numbers: Rows | None = None,
        efs: int = 0,
    ) -> None:
        self.vectors, self.passage, self.embedder = vectors, passage, embedder
        self.graph, self.numbers, self.efs = graph, numbers, efs

    def __len__(self) -> int:
        return len(self.vectors)

    def search(self, query: str, k: int) -> list[Hit]:
        """The best k passages, by their cosine; none for a query without a word."""
        at_least_one(k)
        if not query.strip():
            return []
        vector = self.embedder.embed([query], query=True)[0]
        if not np.isfinite(vector).all():
            raise ModelError(f"{self.embedder.name} gives the query {query[:60]!r} a vector that is not finite.")
        return self.search_vector(vector, k)

    def search_vector(self, vector: npt.ArrayLike, k: int) -> list[Hit]:
        """The best k passages for a vector of any length above 0; none for one of length 0.

        Raises:
            RecipeError: it has not as many numbers as the passages' vectors, or is not finite.
        """
        at_least_one(k)
        query = unit(vector)
        if query.shape != self.vectors.shape[1:] or not np.isfinite(query).all():
            raise RecipeError(
                f"a vector of {np.shape(vector)} was given; this index is searched by {self.vectors.shape[1]} finite "
                f"numbers, as {self.embedder.name} makes them."
            )
        if not query.any():
            return []
        rows, scores = self._nearest(query, k)
        return [replace(self.passage(int(row)), score=float(score)) for row, score in zip(rows, scores, strict=True)]

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        """The cosine of a passage, and its sentence that is nearest to the query with that one's; the higher first."""
        parts = [hit.text[start:end] for start, end in sentences(hit.text)] or [hit.text]
        asked = self.embedder.embed([query], query=True)[0]
        whole, *each = (self.embedder.embed([searched(hit), *parts]) @ asked).tolist()
        top = max(range(len(parts)), key=each.__getitem__)
        return tuple(sorted([("cosine", whole), (f'"{parts[top]}"', each[top])], key=lambda share: -share[1]))

    def _nearest(self, query: Vectors, k: int) -> tuple[Rows, Vectors]:
        if self.graph is None or self.numbers is None:
            rows, scores = nearest(self.vectors, query[None], k)
            return rows[0], scores[0]
        near = np.searchsorted(self.numbers, np.sort(self.graph.search(query, k, self.efs)))
        places, scores = nearest(self.vectors[near], query[None], k)  # the graph's own products are rounded
        return near[places[0]], scores[0]
