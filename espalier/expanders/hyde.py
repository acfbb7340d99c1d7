"""HyDE, hypothetical document embeddings (Gao et al., 2022), arXiv:2212.10496."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import cast

import numpy as np
import numpy.typing as npt

from espalier.catalogue import method
from espalier.contracts import LM, Hit, Retriever
from espalier.errors import RecipeError
from espalier.expanding import REMEMBERED, VectorSearch, line, needs_vectors, written
from espalier.searching import searched

Vector = npt.NDArray[np.float32]

INSTRUCTION = "Write a short passage, as it could stand in a document, that answers the question."


def hyde_vector(query: Vector, documents: Sequence[Vector]) -> Vector:
    """Eq. 8: (sum_k f(d_k) + f(q)) / (N + 1), not brought to length 1, which would change no ranking by cosine.

    Args:
        query: vector of the query, of length 1. [H]
        documents: vectors of the written documents, each of length 1. [N, H]
    """
    mean: Vector = np.mean([query, *documents], axis=0)
    return mean


@method(paper="arXiv:2212.10496")
@dataclass(frozen=True)
class HyDE:
    """Have a model write passages that could answer the query, and search by the mean of their vectors and its own.

    Inputs: dense, with any embedder; a model.
    Relations: query2doc searches by the words of such a passage; vector_prf by vectors of passages that were found.
    Departs from the paper: every vector has length 1 before the mean is taken, where Contriever's have not, and search
    is by cosine. Passages that the model leaves empty do not count; without any it is the plain search.
    """

    lm: LM
    retriever: Retriever
    n: int = 8  # passages; 0 is the plain search
    temperature: float = 0.7
    max_tokens: int = 512  # of a passage
    language: str = ""  # of the passages; empty: whichever the model takes
    instruction: str = INSTRUCTION  # what stands before the query, for other kinds of queries and documents
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 0:
            raise RecipeError(f"expanders/hyde: n is {self.n}; it must be at least 0.")
        needs_vectors(self.retriever, "expanders/hyde")

    def search(self, query: str, k: int) -> list[Hit]:
        """The best k passages for the mean vector."""
        texts = self._texts(query)
        if not texts:
            return self.retriever.search(query, k)
        return self._dense.search_vector(hyde_vector(*self._vectors(query, texts)), k)

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        """What the query and each written passage add to a hit's cosine, the largest first."""
        texts = self._texts(query)
        if not texts:
            return self.retriever.explain(query, hit)
        asked, documents = self._vectors(query, texts)
        found = self._dense.embedder.embed([searched(hit)])[0]
        length = float(np.linalg.norm(hyde_vector(asked, documents))) * (len(texts) + 1)
        shares = [
            (name, float(vector @ found) / length)
            for name, vector in zip((query, *texts), (asked, *documents), strict=True)
        ]
        return tuple(sorted(((line(name)[:80], share) for name, share in shares), key=lambda share: -share[1]))

    @property
    def _dense(self) -> VectorSearch:
        return cast(VectorSearch, self.retriever)

    def _vectors(self, query: str, texts: Sequence[str]) -> tuple[Vector, list[Vector]]:
        embed = self._dense.embedder.embed
        return embed([query], query=True)[0], list(embed(texts))

    @cached_property
    def _texts(self) -> Callable[[str], tuple[str, ...]]:
        return lru_cache(REMEMBERED)(self._write)

    def _write(self, query: str) -> tuple[str, ...]:
        if not self.n or not query.strip():
            return ()
        asked = f"{self.instruction} Write it in {self.language}." if self.language else self.instruction
        return written(
            self.lm, f"{asked}\nQuestion: {line(query)}", n=self.n, temperature=self.temperature,
            max_tokens=self.max_tokens, seed=self.seed,
        )  # fmt: skip
