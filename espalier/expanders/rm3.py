"""RM3, a relevance model mixed with the query (Lavrenko and Croft, 2001; Abdul-Jaleel et al., 2004)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from espalier.catalogue import method
from espalier.contracts import Hit, Retriever
from espalier.errors import RecipeError
from espalier.expanding import TermSearch, needs_terms
from espalier.searching import searched


def relevance_model(
    documents: Sequence[Mapping[str, float]], scores: Sequence[float], *, terms: int
) -> dict[str, float]:
    """P(t|R) = sum_d P(t|d) P(d|q) of the likeliest terms, brought to a sum of 1.

    P(t|d) is the term's count over all of the document's, P(d|q) the document's score over all scores.

    Args:
        documents: how often each term stands in each document that was found. [D]
        scores: of these documents, above 0. [D]
        terms: how many are kept; of equal ones those that come first.
    """
    total = sum(scores)
    model: dict[str, float] = {}
    for counts, score in zip(documents, scores, strict=True):
        length = sum(counts.values())
        for term, count in counts.items():
            model[term] = model.get(term, 0.0) + count / length * score / total
    best = dict(sorted(model.items(), key=lambda share: -share[1])[:terms])
    kept = sum(best.values())
    return {term: weight / kept for term, weight in best.items()}


def rm3_weights(query: Mapping[str, float], relevance: Mapping[str, float], *, weight: float) -> dict[str, float]:
    """P'(t) = weight * P(t|q) + (1 - weight) * P(t|R), where P(t|q) is the term's count over the query's terms."""
    length = sum(query.values())
    names = dict.fromkeys([*query, *relevance])
    return {name: weight * query.get(name, 0.0) / length + (1 - weight) * relevance.get(name, 0.0) for name in names}


@method(paper="doi:10.1145/383952.383972")
@dataclass(frozen=True)
class RM3:
    """Search a second time with the commonest terms of what the query found first, weighted beside its own.

    Inputs: bm25; or tf_idf, whose own weights of a query's terms then do not count.
    Relations: vector_prf does the same to a vector; query2doc has a model write what is added.
    Departs from the paper: scores stand for query likelihood, as in Anserini, whose defaults these are. No term is left
    out for being common, as it is there: on Cranfield and Vaswani that made little difference.
    """

    retriever: Retriever
    terms: int = 10  # that are added
    documents: int = 10  # that they are taken from
    weight: float = 0.5  # of the query itself; at 1 its ranking is unchanged

    def __post_init__(self) -> None:
        if self.terms < 1 or self.documents < 1 or not 0 <= self.weight <= 1:
            raise RecipeError("expanders/rm3: terms and documents must be at least 1, and weight between 0 and 1.")
        needs_terms(self.retriever, "expanders/rm3")

    def search(self, query: str, k: int) -> list[Hit]:
        """The best k passages for the query's terms and those of what it found; nothing if it found nothing."""
        return self._index.search_terms(self.weights(query), k)

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        """What each term adds to a hit's score, the largest first; terms are as the analyzer leaves them."""
        return self._index.explain_terms(self.weights(query), hit)

    def weights(self, query: str) -> dict[str, float]:
        """Every term that is searched for, with its weight; none where the query finds nothing."""
        analyzer = self._index.analyzer
        hits = self.retriever.search(query, self.documents)
        counts = [Counter(analyzer(searched(hit))) for hit in hits]
        asked = Counter(analyzer(analyzer.query(query)))
        if not hits:
            return {}
        relevance = relevance_model(counts, [hit.score for hit in hits], terms=self.terms)
        return rm3_weights(asked, relevance, weight=self.weight)

    @property
    def _index(self) -> TermSearch:
        return cast(TermSearch, self.retriever)
