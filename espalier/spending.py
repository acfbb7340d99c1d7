"""What answering one question takes: calls of models, their tokens, searches; counted where they are made."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")
Found = TypeVar("Found")

_OPEN: ContextVar[Counter[str] | None] = ContextVar("spent", default=None)
_LOCK = threading.Lock()


@contextmanager
def counting() -> Iterator[Counter[str]]:
    """What is spent inside, by this thread and by those it hands work to with `carried`; what is around counts it too.

    The counts of a client are those of all threads together, and several questions may be under way.
    """
    outer, spent = _OPEN.get(), Counter[str]()
    before = _OPEN.set(spent)
    try:
        yield spent
    finally:
        _OPEN.reset(before)
        if outer is not None:
            with _LOCK:
                outer.update(spent)


def spend(**amounts: int) -> None:
    """Count something where somebody counts."""
    spent = _OPEN.get()
    if spent is not None:
        with _LOCK:
            spent.update(amounts)


def carried(ask: Callable[[Item], Found]) -> Callable[[Item], Found]:
    """A function that may run in another thread and is counted as if it ran in this one."""
    spent = _OPEN.get()

    def inside(item: Item) -> Found:
        before = _OPEN.set(spent)
        try:
            return ask(item)
        finally:
            _OPEN.reset(before)

    return inside
