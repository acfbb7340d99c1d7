"""Parts of a text that belong together, as large as a limit allows, and neighbors of them packed into passages."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from espalier.knowledge.lengths import Measure
from espalier.knowledge.sentences import sentence_cuts

Span = tuple[int, int]
PARAGRAPHS, SENTENCES = 0, 1  # levels to begin with


def pieces(measure: Measure, start: int, end: int, limit: int, level: int = PARAGRAPHS) -> Iterator[Span]:
    """The largest parts that are no longer than the limit, each without the spaces around it."""
    text = measure.text
    if level == len(_LEVELS):
        yield from _characters(measure, start, end, limit)
        return
    for a, b in between(text, start, end, _LEVELS[level](text, start, end)):
        if measure(a, b) <= limit:
            yield a, b
        else:
            yield from pieces(measure, a, b, limit, level + 1)


def between(text: str, start: int, end: int, cuts: Iterable[int]) -> Iterator[Span]:
    """The spans between positions, without the spaces around them and without empty ones."""
    for cut in itertools.chain(cuts, (end,)):
        if span := trimmed(text, start, cut):
            yield span
        start = cut


def trimmed(text: str, start: int, end: int) -> Span | None:
    """A span without the spaces around it; None if it is nothing else."""
    while start < end and text[start].isspace():
        start += 1
    while start < end and text[end - 1].isspace():
        end -= 1
    return (start, end) if start < end else None


def packed(measure: Measure, spans: Sequence[Span], end: int, limit: int) -> Iterator[tuple[int, int]]:
    """The first and the last span of each passage: as many neighbors as fit, in passages of similar length.

    Args:
        measure: of the text.
        spans: pieces that fit each by itself.
        end: where what they are parts of ends.
        limit: the longest passage.
    """
    added = [measure(before, after) for (_, before), (_, after) in itertools.pairwise([*spans, (end, end)])]
    following, first = sum(added), 0  # each adds itself and the space before it; the last is the space at the end
    while first < len(spans):
        own = length = measure(*spans[first])
        last, goal = first, _share(own + following, limit)
        while last + 1 < len(spans) and length < goal and length + added[last] <= limit:
            length += added[last]
            last += 1
        while last > first and measure(spans[first][0], spans[last][1]) > limit:
            last -= 1
            length -= added[last]
        yield first, last
        following -= length - own + added[last]
        first = last + 1


def _share(length: int, limit: int) -> float:
    """The length of each of as few equal parts as the limit allows."""
    return length / max(1, -(-length // limit))


def _characters(measure: Measure, start: int, end: int, limit: int) -> Iterator[Span]:
    """A word longer than the limit, in parts that begin with a character of their own where that is possible."""
    while start < end:
        stop = measure.furthest(start, end, limit)
        yield start, stop
        start = stop


def _every(pattern: str) -> Callable[[str, int, int], Iterator[int]]:
    compiled = re.compile(pattern)
    return lambda text, start, end: (found.end() for found in compiled.finditer(text, start, end))


_LEVELS = (_every(r"\n[^\S\n]*\n"), sentence_cuts, _every(r"\n"), _every(r"\s+"))  # paragraphs to words
