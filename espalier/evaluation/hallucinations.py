"""How well a detector finds hallucinations, as RAGTruth measures it (Niu et al., 2024), arXiv:2401.00396.

    response    a completion with a labeled span is a hallucination; one with a detected span is called one
    span        characters: of those that are marked the share that is labeled, of those labeled the share marked

Both are summed over all rows before they are divided; as in scikit-learn, 0 / 0 is 0. A row of which the detector could
not say anything counts as unmarked, and is counted: no detector gains by keeping silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from espalier.contracts import Row
from espalier.hallucinations import Found, Span, labeled
from espalier.maths.intervals import Interval, bootstrap_statistic
from espalier.verdicts import completion_text

Counts = npt.NDArray[np.float64]  # of each row what is marked and labeled, what is marked, what is labeled [n, 3]
ALL = "all"


@dataclass(frozen=True)
class Figures:
    """Precision, recall and F1."""

    precision: Interval
    recall: Interval
    f1: Interval
    n: int  # rows


@dataclass(frozen=True)
class Detection:
    """How well hallucinations were found: in all rows as "all", and in those of each task by its name."""

    responses: Mapping[str, Figures]
    spans: Mapping[str, Figures]
    kinds: Mapping[str, Figures]  # of spans, where the detector tells conflict and baseless apart
    recall: Mapping[str, Interval]  # of spans, by the type of their label
    unknown: int  # rows of which the detector could not say anything
    lost: int  # parts that it named and that do not stand in the completion


def detection(
    rows: Sequence[Row], found: Sequence[Found], *, implicit_true: bool = True, resamples: int = 1000, seed: int = 0
) -> Detection:
    """Measure what a detector found in labeled rows.

    Args:
        rows: with completion and labels, and perhaps task.
        found: for each row.
        implicit_true: whether what is true, though the passages do not say so, is a hallucination.
        resamples: for the intervals; the rows are drawn.
        seed: of the draws.

    Raises:
        RowError: a row has no labels, or one that does not lie in its completion.
    """
    if not rows or len(rows) != len(found):
        raise ValueError(f"{len(rows)} rows and {len(found)} detections; each row needs its own, and one row is least")
    gold = [labeled(row, implicit_true=implicit_true) for row in rows]
    texts = [completion_text(row) for row in rows]

    def counted(kind: str | None = None, name: str | None = None) -> Counts:
        found_here = [[s for s in one.spans if kind in (None, s.kind)] for one in found]
        wanted = [[s for s, own in labels if kind in (None, s.kind) and name in (None, own)] for labels in gold]
        return np.array([overlap(*row) for row in zip(texts, found_here, wanted, strict=True)], np.float64)

    def figures(counts: Counts) -> Figures:
        return _figures(counts, resamples, seed)

    spans = counted()
    said = np.array([(bool(f.spans and g), bool(f.spans), bool(g)) for f, g in zip(found, gold, strict=True)], float)
    kinds = sorted({span.kind for one in found for span in one.spans if span.kind})
    types = sorted({name for labels in gold for _, name in labels if name})
    tasks = _tasks(rows)
    return Detection(
        {task: figures(said[numbers]) for task, numbers in tasks.items()},
        {task: figures(spans[numbers]) for task, numbers in tasks.items()},
        {kind: figures(counted(kind)) for kind in kinds},
        {name: figures(counted(name=name)).recall for name in types},
        sum(one.score is None for one in found),
        sum(len(one.lost) for one in found),
    )


def overlap(text: str, marked: Sequence[Span], wanted: Sequence[Span]) -> tuple[int, int, int]:
    """Characters, but for spaces, that are both marked and labeled, that are marked, and that are labeled."""
    first, second = ({at for s in spans for at in range(s.start, s.end)} for spans in (marked, wanted))
    first, second = ({at for at in places if not text[at].isspace()} for places in (first, second))
    return len(first & second), len(first), len(second)


def precision(counts: Counts) -> float:
    """What is marked and labeled over what is marked. [n, 3] -> one number, not per row"""
    return _ratio(counts[:, 0].sum(), counts[:, 1].sum())


def recall(counts: Counts) -> float:
    """What is marked and labeled over what is labeled. [n, 3] -> one number, not per row"""
    return _ratio(counts[:, 0].sum(), counts[:, 2].sum())


def f1(counts: Counts) -> float:
    """Twice what is marked and labeled, over what is marked and what is labeled together. [n, 3] -> one number"""
    return _ratio(2 * counts[:, 0].sum(), counts[:, 1:].sum())


def _figures(counts: Counts, resamples: int, seed: int) -> Figures:
    found = [bootstrap_statistic(counts, one, resamples=resamples, seed=seed) for one in (precision, recall, f1)]
    return Figures(found[0], found[1], found[2], len(counts))


def _tasks(rows: Sequence[Row]) -> dict[str, list[int]]:
    """The numbers of all rows, and of those of each task if there are several."""
    found: dict[str, list[int]] = {ALL: list(range(len(rows)))}
    names = [str(row.get("task") or "") for row in rows]
    if len(set(names)) > 1:
        for name in sorted(set(names) - {"", ALL}):
            found[name] = [number for number, own in enumerate(names) if own == name]
    return found


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below else 0.0
