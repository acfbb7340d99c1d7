"""Orders from comparisons of two, by someone who may contradict himself.

A comparison gives the points of the first: 1, or 0 where the second is better, or 1/2 where neither is. Candidates are
numbered in the order they came, which decides between equals. No pair is compared twice.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from itertools import combinations

Pair = tuple[int, int]
Compare = Callable[[Sequence[Pair]], Sequence[float]]


def all_pairs(n: int, compare: Compare) -> tuple[list[int], list[float]]:
    """Everyone against everyone: the order, and the points of each; n (n - 1) / 2 comparisons, all at once."""
    pairs = list(combinations(range(n), 2))
    points = [0.0] * n
    for (first, second), value in zip(pairs, compare(pairs), strict=True):
        points[first] += value
        points[second] += 1 - value
    return sorted(range(n), key=lambda candidate: -points[candidate]), points


def heap_sort(n: int, compare: Compare) -> list[int]:
    """About n log2 n comparisons, one after the other."""
    once = _Once(compare)

    class Contender:
        def __init__(self, number: int) -> None:
            self.number = number

        def __lt__(self, other: Contender) -> bool:
            value = once(self.number, other.number)
            return value > 0.5 or (value == 0.5 and self.number < other.number)

    heap = [Contender(number) for number in range(n)]
    heapq.heapify(heap)
    return [heapq.heappop(heap).number for _ in range(n)]


def bubble_up(n: int, compare: Compare, passes: int) -> list[int]:
    """Neighbors exchanged from the bottom up where the lower is better: the best of each pass arrives at the top.

    At most passes * (n - 1) comparisons, one after the other.
    """
    once = _Once(compare)
    ranked = list(range(n))
    for top in range(min(passes, n)):
        for upper in range(n - 2, top - 1, -1):
            if once(ranked[upper], ranked[upper + 1]) < 0.5:
                ranked[upper : upper + 2] = ranked[upper + 1], ranked[upper]
    return ranked


class _Once:
    """Comparisons that are remembered."""

    def __init__(self, compare: Compare) -> None:
        self.compare = compare
        self.known: dict[Pair, float] = {}

    def __call__(self, first: int, second: int) -> float:
        pair = (min(first, second), max(first, second))
        if pair not in self.known:
            self.known[pair] = self.compare([pair])[0]
        return self.known[pair] if pair[0] == first else 1 - self.known[pair]
