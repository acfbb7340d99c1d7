"""How good a ranking is, by judged documents; as trec_eval defines it, one value per query.

Each measure takes a ranking, or a run as trec_eval reads it (scores by document), or the `places` of either: to take
several measures of one run, find its places once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

Ranking = Sequence[str]  # ids of documents, best first, each once
Run = Mapping[str, float]  # the score of each document that was retrieved
Qrels = Mapping[str, float]  # the grade of each judged document; what is not judged is not relevant


class Places(tuple[tuple[int, float], ...]):
    """The rank, from 1, and the grade of each judged document that was retrieved, best first."""


Ranked = Ranking | Run | Places


def places(ranked: Ranked, qrels: Qrels) -> Places:
    """Where the judged documents stand.

    Of a run, as in trec_eval: scores are compared as 32-bit floats, and of equal ones the later id comes first.

    Args:
        ranked: what was retrieved.
        qrels: the grades.
    """
    if isinstance(ranked, Places):
        return ranked
    ranks = _ranks(ranked, qrels) if isinstance(ranked, Mapping) else {d: r for r, d in enumerate(_once(ranked), 1)}
    return Places(sorted((ranks[document], grade) for document, grade in qrels.items() if document in ranks))


def ranked(run: Run) -> list[str]:
    """A run's documents, best first, in trec_eval's order."""
    scores = np.fromiter(run.values(), np.float32, len(run)).tolist()
    return [document for _, document in sorted(zip(scores, run, strict=True), reverse=True)]


def ndcg(ranked: Ranked, qrels: Qrels, k: int | None = None) -> float:
    """nDCG@k = DCG / DCG of the best ranking,   DCG = sum over ranks r <= k of grade_r / log2(r + 1).

    The gain is the grade itself, as in trec_eval's ndcg_cut (others take 2^grade - 1); a grade below 0 counts as 0.

    Args:
        ranked: what was retrieved.
        qrels: the grades.
        k: ranks that count; None for all.

    Returns:
        Between 0 and 1; 0 where nothing is relevant.
    """
    ideal = _dcg(enumerate(sorted(qrels.values(), reverse=True)[:k], 1))
    return _dcg(place for place in places(ranked, qrels) if _within(place, k)) / ideal if ideal else 0.0


def reciprocal_rank(ranked: Ranked, qrels: Qrels, k: int | None = None, *, least: float = 1.0) -> float:
    """1 / the rank of the first relevant document; 0 where none is among the first k.

    Args:
        ranked: what was retrieved.
        qrels: the grades.
        k: ranks that count; None for all.
        least: the grade from which a document is relevant.
    """
    return next((1 / rank for rank in _found(ranked, qrels, k, least)), 0.0)


def success(ranked: Ranked, qrels: Qrels, k: int | None = None, *, least: float = 1.0) -> float:
    """1 if a relevant document is among the first k, else 0.

    Args:
        ranked: what was retrieved.
        qrels: the grades.
        k: ranks that count; None for all.
        least: the grade from which a document is relevant.
    """
    return float(bool(_found(ranked, qrels, k, least)))


def precision(ranked: Ranked, qrels: Qrels, k: int, *, least: float = 1.0) -> float:
    """The relevant documents among the first k, divided by k, even where fewer were retrieved.

    Args:
        ranked: what was retrieved.
        qrels: the grades.
        k: ranks that count.
        least: the grade from which a document is relevant.
    """
    return len(_found(ranked, qrels, k, least)) / k


def recall(ranked: Ranked, qrels: Qrels, k: int | None = None, *, least: float = 1.0) -> float:
    """The share of the relevant documents that are among the first k; 0 where there are none.

    Args:
        ranked: what was retrieved.
        qrels: the grades.
        k: ranks that count; None for all.
        least: the grade from which a document is relevant.
    """
    relevant = _relevant(qrels, least)
    return len(_found(ranked, qrels, k, least)) / relevant if relevant else 0.0


def average_precision(ranked: Ranked, qrels: Qrels, *, least: float = 1.0) -> float:
    """AP = sum over relevant documents found at rank r of (relevant up to r) / r, divided by all relevant ones.

    Args:
        ranked: what was retrieved.
        qrels: the grades.
        least: the grade from which a document is relevant.

    Returns:
        Between 0 and 1; its mean over queries is MAP.
    """
    relevant, ranks = _relevant(qrels, least), _found(ranked, qrels, None, least)
    return sum(found / rank for found, rank in enumerate(ranks, 1)) / relevant if relevant else 0.0


def _ranks(run: Run, qrels: Qrels) -> dict[str, int]:
    """The ranks of the judged documents alone: far fewer than were retrieved, so that nothing else is ordered."""
    scores = np.fromiter(run.values(), np.float32, len(run))
    ascending = np.sort(scores)
    judged = [document for document in qrels if document in run]
    own = np.array([run[document] for document in judged], np.float32)
    first = len(run) - np.searchsorted(ascending, own, "right")  # how many score higher
    equal = len(run) - np.searchsorted(ascending, own, "left") - first
    ranks = {}
    for document, score, above, alike in zip(judged, own, first.tolist(), equal.tolist(), strict=True):
        later = 0
        if alike > 1:
            names = list(run)
            later = sum(names[at] > document for at in np.flatnonzero(scores == score))
        ranks[document] = above + later + 1
    return ranks


def _dcg(graded: Iterable[tuple[int, float]]) -> float:
    return sum(max(0.0, grade) / math.log2(rank + 1) for rank, grade in graded)


def _within(place: tuple[int, float], k: int | None) -> bool:
    return k is None or place[0] <= k


def _found(ranked: Ranked, qrels: Qrels, k: int | None, least: float) -> list[int]:
    """The ranks of the relevant documents among the first k."""
    return [place[0] for place in places(ranked, qrels) if place[1] >= least and _within(place, k)]


def _relevant(qrels: Qrels, least: float) -> int:
    return sum(grade >= least for grade in qrels.values())


def _once(ranking: Ranking) -> Ranking:
    if len(set(ranking)) != len(ranking):
        raise ValueError("a ranking names each document once")
    return ranking
