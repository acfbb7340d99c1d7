"""One ranking of several: by the places that a document has in them, or by its scores brought to one scale."""

from __future__ import annotations

from collections.abc import Sequence


def reciprocal_rank_score(rank: int, *, weight: float = 1.0, constant: float = 60.0) -> float:
    """Cormack et al. (2009): weight / (constant + rank), what one ranking adds to a document's score.

    Args:
        rank: its place in the ranking, from 1; a ranking that lacks the document adds nothing.
        weight: of this ranking.
        constant: how little the first places stand out.
    """
    return weight / (constant + rank)


def min_max(scores: Sequence[float]) -> list[float]:
    """(score - lowest) / (highest - lowest) of one query's scores; 1 for each where all are equal."""
    low, high = min(scores, default=0.0), max(scores, default=0.0)
    return [(score - low) / (high - low) if high > low else 1.0 for score in scores]
