"""Confidence intervals: the bootstrap for means and ratios, Wilson's for shares, and both for paired differences."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Values = npt.ArrayLike  # one number per row [n], or a numerator and a denominator each [n, 2]
Array = npt.NDArray[np.float64]
CHUNK = 4_000_000  # row numbers drawn at once


@dataclass(frozen=True)
class Interval:
    """An estimate and where it probably lies."""

    value: float
    low: float
    high: float


def _same(value: Array) -> Array:
    return value


def bootstrap(
    values: Values,
    *,
    transform: Callable[[Array], Array] = _same,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The percentile bootstrap of transform(sum of numerators / sum of denominators), over rows (Efron, 1979).

    Args:
        values: one number per row, for their mean [n]; or a numerator and a positive denominator per row, for the ratio
            of the sums (nats and tokens, for the cross-entropy per token) [n, 2].
        transform: applied to the ratio; np.exp makes a cross-entropy a perplexity.
        resamples: how often n rows are drawn with replacement; 1,000 to 10,000 is usual.
        level: share of resamples inside the interval.
        seed: of the draws.
    """
    rows = _ratios(values)
    found = np.concatenate([transform(_ratio(rows, drawn)) for drawn in _draws(len(rows), resamples, seed)])
    return _percentiles(transform(_ratio(rows)), found, level)


def paired_bootstrap(
    before: Values,
    after: Values,
    *,
    transform: Callable[[Array], Array] = _same,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The percentile bootstrap of after - before, both measured on the same rows and resampled together.

    Args:
        before: as in `bootstrap`, row by row.
        after: the same rows, measured again.
        transform: applied to each of the two ratios, before they are subtracted.
        resamples: as in `bootstrap`.
        level: as in `bootstrap`.
        seed: of the draws.
    """
    first, second = _ratios(before), _ratios(after)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} rows before and {len(second)} after; a paired difference needs the same rows")

    def difference(drawn: npt.NDArray[np.int64] | None = None) -> Array:
        return transform(_ratio(second, drawn)) - transform(_ratio(first, drawn))

    found = np.concatenate([difference(drawn) for drawn in _draws(len(first), resamples, seed)])
    return _percentiles(difference(), found, level)


def bootstrap_statistic(
    rows: Array, statistic: Callable[[Array], float], *, resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """The percentile bootstrap of a number that is no ratio of sums, such as a correlation.

    Args:
        rows: what is drawn with replacement. [n, ...]
        statistic: the number, of any n rows.
        resamples: as in `bootstrap`.
        level: as in `bootstrap`.
        seed: of the draws.
    """
    found = [statistic(rows[numbers]) for drawn in _draws(len(rows), resamples, seed) for numbers in drawn]
    return _percentiles(np.array([statistic(rows)]), np.array(found), level)


def wilson(successes: float, n: int, *, level: float = 0.95) -> Interval:
    """Wilson's score interval of a share (Wilson, 1927): sensible at 0, at 1 and for few rows.

    center = (p + z^2 / 2n) / (1 + z^2 / n),   half = z / (1 + z^2 / n) * sqrt(p (1 - p) / n + z^2 / 4n^2)

    Args:
        successes: how many of the rows; a tie may count one half.
        n: rows, at least one.
        level: coverage.
    """
    z, p = _z(level), successes / n
    center = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (p * (1 - p) / n + z**2 / (4 * n**2)) ** 0.5
    low, high = center - half, center + half  # at 0 and 1 an end is exact; the two terms cancel but for rounding
    return Interval(p, max(0.0, low) if successes else 0.0, min(1.0, high) if successes != n else 1.0)


def paired_shares(gained: int, lost: int, n: int, *, level: float = 0.95) -> Interval:
    """The adjusted Wald interval of a difference of two shares on the same rows (Bonett and Price, 2012).

    With a = (gained + 1) / (n + 2) and b = (lost + 1) / (n + 2):  a - b +- z * sqrt((a + b - (a - b)^2) / (n + 2))

    Where few rows differ the bootstrap is too sure of itself: four gained and none lost would count as proof.

    Args:
        gained: rows that succeed only afterwards.
        lost: rows that succeed only before.
        n: all rows, at least one.
        level: coverage.

    Returns:
        The plain difference, (gained - lost) / n, and the interval.
    """
    a, b = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = _z(level) * ((a + b - (a - b) ** 2) / (n + 2)) ** 0.5
    return Interval((gained - lost) / n, max(-1.0, a - b - half), min(1.0, a - b + half))


def _z(level: float) -> float:
    return NormalDist().inv_cdf(0.5 + level / 2)


def _ratios(values: Values) -> Array:
    """Numerator and denominator per row. [n, 2]"""
    rows = np.asarray(values, np.float64)
    rows = np.stack([rows, np.ones_like(rows)], -1) if rows.ndim == 1 else rows
    if not len(rows) or not (rows[:, 1] > 0).all():
        raise ValueError("an interval needs at least one row, and denominators above 0")
    return rows


def _ratio(rows: Array, drawn: npt.NDArray[np.int64] | None = None) -> Array:
    """The ratio of the sums over all rows [1], or over each draw of them [draws, n] -> [draws]."""
    above, below = (column[None] if drawn is None else column[drawn] for column in rows.T)
    return np.asarray(above.sum(-1) / below.sum(-1))


def _draws(n: int, resamples: int, seed: int) -> Iterator[npt.NDArray[np.int64]]:
    """Row numbers, n with replacement for each resample, in chunks. [some, n]"""
    chance = np.random.default_rng(seed)
    size = max(1, CHUNK // n)
    for done in range(0, resamples, size):
        yield chance.integers(n, size=(min(size, resamples - done), n))


def _percentiles(value: Array, found: Array, level: float) -> Interval:
    low, high = np.quantile(found, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(value[0]), float(low), float(high))
