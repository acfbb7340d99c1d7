"""Rocchio's feedback with vectors (Li et al., 2021), arXiv:2108.11044."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from espalier.catalogue import method
from espalier.contracts import Hit, Retriever
from espalier.errors import RecipeError
from espalier.expanding import VectorSearch, needs_vectors
from espalier.searching import searched

Vector = npt.NDArray[np.float32]


def rocchio_vector(query: Vector, documents: Sequence[Vector], *, alpha: float, beta: float) -> Vector:
    """q' = alpha q + beta mean(d), not brought to length 1.

    Args:
        query: vector of the query, of length 1. [H]
        documents: vectors of the passages that it found, each of length 1. [D, H]
        alpha: weight of the query.
        beta: weight of the passages.
    """
    moved: Vector = alpha * query + beta * np.mean(documents, axis=0)
    return moved


@method(paper="arXiv:2108.11044")
@dataclass(frozen=True)
class VectorPRF:
    """Search a second time by the query's vector moved toward those of the passages it found first.

    Inputs: dense, with any embedder.
    Relations: rm3 does the same to the terms of bm25; hyde takes passages that a model writes.
    Departs from the paper: vectors have length 1 and search is by cosine; the passages are embedded again.
    """

    retriever: Retriever
    documents: int = 5  # that the query is moved toward
    alpha: float = 0.4  # weight of the query
    beta: float = 0.6  # weight of the mean of the passages

    def __post_init__(self) -> None:
        if self.documents < 1 or min(self.alpha, self.beta) < 0 or self.alpha + self.beta <= 0:
            raise RecipeError(
                "expanders/vector_prf: documents must be at least 1, alpha and beta at least 0 and not both 0."
            )
        needs_vectors(self.retriever, "expanders/vector_prf")

    def search(self, query: str, k: int) -> list[Hit]:
        """The best k passages for the vector that was moved; nothing if the query found nothing."""
        vector = self.vector(query)
        return [] if vector is None else self._dense.search_vector(vector, k)

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        """What the query and the passages that it found add to a hit's cosine, the larger first."""
        parts = self._parts(query)
        vector = self.vector(query)
        if parts is None or vector is None:
            return ()
        asked, documents = parts
        found = self._dense.embedder.embed([searched(hit)])[0] / np.linalg.norm(vector)
        shares = [
            ("query", float(self.alpha * asked @ found)),
            (f"{len(documents)} passages", float(self.beta * np.mean(documents, axis=0) @ found)),
        ]
        return tuple(sorted(shares, key=lambda share: -share[1]))

    def vector(self, query: str) -> Vector | None:
        """The vector that is searched by; None where the query finds nothing."""
        parts = self._parts(query)
        return None if parts is None else rocchio_vector(*parts, alpha=self.alpha, beta=self.beta)

    @property
    def _dense(self) -> VectorSearch:
        return cast(VectorSearch, self.retriever)

    def _parts(self, query: str) -> tuple[Vector, list[Vector]] | None:
        """The vectors of the query and of what it finds."""
        embed = self._dense.embedder.embed
        if not query.strip():
            return None
        asked = embed([query], query=True)[0]
        hits = self._dense.search_vector(asked, self.documents)
        return (asked, list(embed([searched(hit) for hit in hits]))) if hits else None
