"""A window that slides over a list from its bottom to its top, so that a model can order more than it reads at once.

Each window is ordered and hands its best `window - step` to the one above, so that after one pass that many stand at
the top in the right order, however long the list is; further passes bring as many again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from espalier.candidates import Ranking
from espalier.errors import RecipeError
from espalier.verdicts import concluded

Order = Callable[[Sequence[int]], Sequence[int] | None]  # candidates to their places, best first; None: not readable
_ID = re.compile(r"\[\s*(?:PASSAGE)?\s*([0-9]+)\s*\]|\bPASSAGE\s*([0-9]+)")
_BARE = re.compile(r"(?<![(\w.-])([0-9]+)(?![\w)]|\.[0-9])")  # "(3)" is a document's own


def check(method: str, window: int, step: int, passes: int = 1) -> None:
    """Refuse what would leave candidates out, or carry none of them up.

    Raises:
        RecipeError: the numbers do not fit.
    """
    if not 0 < step < window or passes < 1:
        raise RecipeError(
            f"{method}: window is {window}, step {step} and passes {passes}; a step is at least 1 and smaller than the "
            "window, and there is at least one pass."
        )


def windows(n: int, window: int, step: int) -> list[tuple[int, int]]:
    """Where each window begins and ends, from the bottom up; the last one begins at the top and may be shorter."""
    found = []
    end = n
    while end > 0:
        found.append((max(0, end - window), end))
        end = end - step if end > window else 0
    return found


def slide(n: int, order: Order, *, window: int = 20, step: int = 10, passes: int = 1) -> Ranking:
    """Order n candidates, window by window.

    Args:
        n: how many there are; fewer than two are in order.
        order: a model's view of some candidates; what it leaves out keeps its order behind the rest.
        window: candidates seen at once.
        step: by how many the window moves.
        passes: how often it goes from bottom to top.
    """
    ranked = list(range(n))
    calls = unread = 0
    for begin, end in windows(n, window, step) * passes if n > 1 else []:
        seen = ranked[begin:end]
        places = order(seen)
        calls += 1
        unread += places is None
        ranked[begin:end] = [seen[place] for place in completed(places or (), len(seen))]
    return Ranking(tuple(ranked), calls, unread)


def completed(places: Iterable[int], n: int) -> list[int]:
    """A permutation of 0 to n - 1: duplicates and what is out of range dropped, what is missing appended in order."""
    kept = dict.fromkeys(place for place in places if 0 <= place < n)
    return [*kept, *(place for place in range(n) if place not in kept)]


def read_ranking(reply: str) -> list[int] | None:
    """The places that a reply names, from 0; None where it names none.

    Labels such as [2] or PASSAGE2 count where there are any, else bare whole numbers: what a model says around them
    ("the 3 best are [2] > [1]") is no ranking.
    """
    said = concluded(reply)
    found = [first or second for first, second in _ID.findall(said)] or _BARE.findall(said)
    return [int(number) - 1 for number in found] or None
