"""How good a ranking is, by judged documents; as trec_eval defines it, one value per query."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Ranking = Sequence[str]  # ids of documents, best first, each once
Qrels = Mapping[str, float]  # the grade of each judged document; what is not judged is not relevant


def ndcg(ranking: Ranking, qrels: Qrels, k: int | None = None) -> float:
    """nDCG@k = DCG / DCG of the best ranking,   DCG = sum over ranks r <= k of grade_r / log2(r + 1).

    The gain is the grade itself, as in trec_eval's ndcg_cut (others take 2^grade - 1); a grade below 0 counts as 0.

    Args:
        ranking: what was retrieved.
        qrels: the grades.
        k: ranks that count; None for all.

    Returns:
        Between 0 and 1; 0 where nothing is relevant.
    """
    ideal = _dcg(sorted(qrels.values(), reverse=True)[:k])
    return _dcg([qrels.get(document, 0.0) for document in _once(ranking)[:k]]) / ideal if ideal else 0.0


def reciprocal_rank(ranking: Ranking, qrels: Qrels, k: int | None = None, *, least: float = 1.0) -> float:
    """1 / the rank of the first relevant document; 0 where none is among the first k.

    Args:
        ranking: what was retrieved.
        qrels: the grades.
        k: ranks that count; None for all.
        least: the grade from which a document is relevant.
    """
    relevant = _relevant(qrels, least)
    return next((1 / rank for rank, document in enumerate(_once(ranking)[:k], 1) if document in relevant), 0.0)


def recall(ranking: Ranking, qrels: Qrels, k: int | None = None, *, least: float = 1.0) -> float:
    """The share of the relevant documents that are among the first k; 0 where there are none.

    Args:
        ranking: what was retrieved.
        qrels: the grades.
        k: ranks that count; None for all.
        least: the grade from which a document is relevant.
    """
    relevant = _relevant(qrels, least)
    return len(relevant.intersection(_once(ranking)[:k])) / len(relevant) if relevant else 0.0


def average_precision(ranking: Ranking, qrels: Qrels, *, least: float = 1.0) -> float:
    """AP = sum over relevant documents found at rank r of (relevant up to r) / r, divided by all relevant ones.

    Args:
        ranking: what was retrieved.
        qrels: the grades.
        least: the grade from which a document is relevant.

    Returns:
        Between 0 and 1; its mean over queries is MAP.
    """
    relevant = _relevant(qrels, least)
    ranks = [rank for rank, document in enumerate(_once(ranking), 1) if document in relevant]
    return sum(found / rank for found, rank in enumerate(ranks, 1)) / len(relevant) if relevant else 0.0


def _dcg(grades: Sequence[float]) -> float:
    return sum(max(0.0, grade) / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))


def _relevant(qrels: Qrels, least: float) -> set[str]:
    return {document for document, grade in qrels.items() if grade >= least}


def _once(ranking: Ranking) -> Ranking:
    if len(set(ranking)) != len(ranking):
        raise ValueError("a ranking names each document once")
    return ranking
