"""Reciprocal rank fusion (Cormack et al., 2009), doi:10.1145/1571941.1572114, and the convex combination of scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from espalier import catalogue
from espalier.catalogue import method
from espalier.contracts import Hit, Part, Retriever
from espalier.errors import RecipeError
from espalier.knowledge.store import Store
from espalier.maths.fusion import min_max, reciprocal_rank_score
from espalier.searching import Progress, at_least_one


@dataclass(frozen=True)
class Fused:
    """A retriever: several of them searched, and their hits in one order.

    Attributes:
        retrievers: by their names, in the order that breaks ties.
        weights: of each.
        fusion: what is added up: "ranks" or "scores".
        constant: of the fusion by ranks.
        depth: hits that each gives.
    """

    retrievers: Mapping[str, Retriever]
    weights: Sequence[float]
    fusion: str
    constant: float
    depth: int

    def search(self, query: str, k: int) -> list[Hit]:
        """The best k of what any of them finds; each hit tells in `parts` where and with what score they had it."""
        found = self._found(query, at_least_one(k))
        hits = [replace(hit, score=sum(shares.values())) for hit, shares in found.values()]
        return sorted(hits, key=lambda hit: -hit.score)[:k]

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        """What each retriever adds to a hit's score, the largest first."""
        deepest = max([1, *(part.rank for part in hit.parts)])
        _, shares = self._found(query, deepest).get(_place(hit), (hit, {}))
        return tuple(sorted(shares.items(), key=lambda share: -share[1]))

    def _found(self, query: str, k: int) -> dict[Any, tuple[Hit, dict[str, float]]]:
        """Every hit of any retriever with its parts, and what each adds to its score."""
        found: dict[Any, tuple[Hit, dict[str, float]]] = {}
        for (name, retriever), weight in zip(self.retrievers.items(), self.weights, strict=True):
            hits = retriever.search(query, max(k, self.depth))
            scaled = min_max([hit.score for hit in hits])
            for rank, (hit, score) in enumerate(zip(hits, scaled, strict=True), 1):
                ranked = reciprocal_rank_score(rank, weight=weight, constant=self.constant)
                known, shares = found.get(_place(hit), (replace(hit, parts=()), {}))
                parts = (*known.parts, *hit.parts, Part(name, rank, hit.score))
                shares[name] = ranked if self.fusion == "ranks" else weight * score
                found[_place(hit)] = replace(known, parts=parts), shares
        return found


@method(paper="doi:10.1145/1571941.1572114")
@dataclass(frozen=True)
class Hybrid:
    """Search with several retrievers and order what they find by the sum of its reciprocal ranks, or of its scores.

    Inputs: what its retrievers take; an index has to keep each of them.
    Relations: `fusion = "scores"` is the convex combination (Bruch et al., 2023, arXiv:2210.11934): each retriever's
    scores are brought to 0 to 1 for each query, and a hit that it lacks has 0.
    Departs from the paper: rankings may be weighted. The weights of scores are divided by their sum.
    """

    retrievers: tuple[str, ...] = ("bm25", "dense")
    fusion: Literal["ranks", "scores"] = "ranks"
    weights: tuple[float, ...] = ()  # of each retriever; none: all the same
    constant: float = 60.0  # added to every rank
    depth: int = 100  # hits of each retriever that take part

    def __post_init__(self) -> None:
        for name in self.retrievers:
            catalogue.resolve(name, "retrievers")
        if len(set(self.retrievers)) < max(2, len(self.retrievers)):
            raise RecipeError(f"retrievers/hybrid fuses two retrievers or more, each once, not {self.retrievers}.")
        if self.weights and (len(self.weights) != len(self.retrievers) or not 0 < sum(self.weights) < float("inf")):
            raise RecipeError(
                f"retrievers/hybrid: weights are {self.weights}; give one for each of {', '.join(self.retrievers)}."
            )
        if any(weight < 0 for weight in self.weights) or self.constant < 0 or self.depth < 1:
            raise RecipeError("retrievers/hybrid: weights and constant are at least 0, depth at least 1.")

    def parts(self) -> dict[str, Any]:
        """Its retrievers by name; each takes of an index what that keeps for it."""
        return {name: catalogue.build({"method": name}, "retrievers") for name in self.retrievers}

    def index(self, documents: Sequence[Hit]) -> Fused:
        """The documents, indexed by each."""
        return self._fused({name: part.index(documents) for name, part in self.parts().items()})

    def keep(self, store: Store, progress: Progress) -> None:
        """Write what the store lacks for each."""
        for part in self.parts().values():
            part.keep(store, progress)

    def open(self, store: Store) -> Fused:
        """A search with what the store keeps for each."""
        return self._fused({name: part.open(store) for name, part in self.parts().items()})

    def _fused(self, retrievers: Mapping[str, Retriever]) -> Fused:
        weights = self.weights or (1.0,) * len(retrievers)
        total = sum(weights) if self.fusion == "scores" else 1.0
        return Fused(retrievers, [weight / total for weight in weights], self.fusion, self.constant, self.depth)


def _place(hit: Hit) -> tuple[str, int, str]:
    return hit.document, hit.start, hit.text
