"""Two evaluations on the same rows: what was gained, what was lost, and where nothing can be said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from espalier.errors import RunError
from espalier.evaluation import metrics
from espalier.evaluation.results import MEASURES, Evaluation, Measure, Score
from espalier.maths.intervals import Array, Interval, bootstrap_statistic, paired_bootstrap, paired_shares

Word = Literal["gained", "lost", "cannot say"]
FEWEST = 10  # rows; from fewer no interval is worth its name


@dataclass(frozen=True)
class Change:
    """A number before and after on the rows both have, the difference with its 95 % interval, and a word.

    The word is gained or lost where the interval excludes zero.
    """

    measure: str  # see MEASURES
    name: str  # the same for people
    before: float
    after: float
    difference: float
    low: float
    high: float
    n: int
    word: Word


def compare(
    before: Evaluation, after: Evaluation, *, resamples: int = 2000, seed: int = 0, level: float = 0.95
) -> list[Change]:
    """Paired differences, after minus before, of every number both have and of which one direction is better.

    Perplexity per token is left out where tokenizer or template differ; bits per byte can be compared.

    Args:
        before: one model.
        after: another, on the same rows or some of them.
        resamples: of the bootstrap.
        seed: of the bootstrap.
        level: coverage of the intervals.

    Raises:
        RunError: they have no row in common.
    """
    first, second = _by_row(before), _by_row(after)
    common = [key for key in first if key in second]
    if not common:
        raise RunError("the two evaluations have no row in common; evaluate both on the same rows.")
    changes = []
    for name, measure in MEASURES.items():
        pairs = [(first[k][name], second[k][name]) for k in common if name in first[k] and name in second[k]]
        comparable = before.tokens == after.tokens or measure.transform is not metrics.perplexity
        if pairs and measure.better and comparable:
            changes.append(_change(name, measure, np.array(pairs), resamples, seed, level))
    return changes


def _by_row(evaluation: Evaluation) -> dict[tuple[str, int], dict[str, Score]]:
    """Scores by row; a row that occurs twice is numbered."""
    seen: Counter[str] = Counter()
    found = {}
    for example in evaluation.examples:
        found[example.key, seen[example.key]] = example.scores
        seen[example.key] += 1
    return found


def _change(name: str, measure: Measure, pairs: Array, resamples: int, seed: int, level: float) -> Change:
    """From numerators and denominators. [n, before and after, 2]"""
    before, after = pairs[:, 0], pairs[:, 1]
    gain = after[:, 0] - before[:, 0]
    steps = np.unique(np.abs(gain[gain != 0]))  # 1, or 1/2 where one side is all ties
    if measure.statistic is not None:
        statistic = measure.statistic
        interval = bootstrap_statistic(
            pairs,
            lambda drawn: statistic(drawn[:, 1]) - statistic(drawn[:, 0]),
            resamples=resamples,
            level=level,
            seed=seed,
        )
    elif measure.share and len(steps) < 2:
        step = float(steps.sum()) or 1.0
        shares = paired_shares(int((gain > 0).sum()), int((gain < 0).sum()), len(pairs), level=level)
        interval = Interval(step * shares.value, step * shares.low, step * shares.high)
    else:
        interval = paired_bootstrap(
            before, after, transform=measure.transform, resamples=resamples, level=level, seed=seed
        )
    return Change(
        measure=name,
        name=measure.title,
        before=_value(measure, before),
        after=_value(measure, after),
        difference=interval.value,
        low=interval.low,
        high=interval.high,
        n=len(pairs),
        word=_word(measure, interval, len(pairs)),
    )


def _value(measure: Measure, scores: Array) -> float:
    if measure.statistic is not None:
        return measure.statistic(scores)
    return float(measure.transform(scores[:, 0].sum() / scores[:, 1].sum()))


def _word(measure: Measure, interval: Interval, n: int) -> Word:
    if n < FEWEST or interval.low <= 0 <= interval.high:
        return "cannot say"
    return "gained" if (interval.low > 0) == (measure.better == "higher") else "lost"
