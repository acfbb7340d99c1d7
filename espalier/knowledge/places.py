"""The pages, slides and sheets of a document: what a reader looks for when an offset is cited."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import itemgetter

Places = tuple[tuple[int, str], ...]  # where each begins, in order, and its name: (0, "page 1"), (1200, "page 2")


def place(places: Sequence[tuple[int, str]], start: int, end: int) -> str:
    """Where a stretch of the text stands: "page 3", "page 3 to page 4"; "" where a document has no such parts."""
    first = bisect_right(places, start, key=itemgetter(0)) - 1
    last = bisect_left(places, end, key=itemgetter(0)) - 1
    names = [places[at][1] for at in (first, max(first, last)) if at >= 0]
    return " to ".join(dict.fromkeys(names))
