"""What methods of `expanders` share: what they need of a retriever, and texts that a model writes for a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy.typing as npt

from espalier.analysis import Analyzer
from espalier.contracts import LM, Embedder, Hit, Retriever
from espalier.errors import RecipeError
from espalier.verdicts import concluded

REMEMBERED = 256  # queries whose rewriting an expander keeps, so that explaining a hit asks no model


class VectorSearch(Retriever, Protocol):
    """A retriever that can be searched by a vector, such as dense."""

    embedder: Embedder

    def search_vector(self, vector: npt.ArrayLike, k: int) -> list[Hit]: ...


class TermSearch(Retriever, Protocol):
    """A retriever that can be searched by terms with weights, such as bm25."""

    analyzer: Analyzer

    def search_terms(self, weights: Mapping[str, float], k: int) -> list[Hit]: ...

    def explain_terms(self, weights: Mapping[str, float], hit: Hit) -> tuple[tuple[str, float], ...]: ...


def needs_vectors(retriever: Retriever, address: str) -> None:
    """Refuse a retriever that is not searched by vectors.

    Raises:
        RecipeError: it is not.
    """
    if not hasattr(retriever, "search_vector"):
        name = address.partition("/")[2]
        raise RecipeError(f"{address} searches by a vector, which only dense can: write dense+{name}.")


def needs_terms(retriever: Retriever, address: str) -> None:
    """Refuse a retriever that is not searched by terms.

    Raises:
        RecipeError: it is not.
    """
    if not hasattr(retriever, "search_terms"):
        name = address.partition("/")[2]
        raise RecipeError(f"{address} weights terms, which bm25 and tf_idf have: write bm25+{name}.")


def written(lm: LM, prompt: str, *, n: int, temperature: float, max_tokens: int, seed: int) -> tuple[str, ...]:
    """What a model writes: without its reasoning, up to three line breaks, and none that is empty."""
    replies = lm.complete(prompt, n=n, temperature=temperature, max_tokens=max_tokens, seed=seed)
    texts = [concluded(reply).strip().partition("\n\n\n")[0].strip() for reply in replies]
    return tuple(text for text in texts if text)


def line(text: str) -> str:
    """A text on one line, so that it cannot write another line of a prompt."""
    return " ".join(text.split())
