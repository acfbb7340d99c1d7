"""What every method of `retrievers` can do with documents and with an index, and what such methods share."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from typing import Protocol

from espalier.contracts import Hit, Retriever
from espalier.errors import RecipeError, RunError
from espalier.knowledge.store import Passage, Store

Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much


class Kept(Protocol):
    """A method of `retrievers`. It searches documents in memory, or passages of a store that keeps what it needs.

    What a store keeps for it is its own blob or file, with the options it was made with and the store's generation:
    made at another generation it is stale. `open` of an object with default options takes what is kept as it is.
    """

    def index(self, documents: Sequence[Hit]) -> Retriever:
        """The documents (their scores do not matter), ready to be searched."""
        ...

    def keep(self, store: Store, progress: Progress) -> None:
        """Write what the store lacks for it; nothing if that is current. Stopped, it goes on or begins again."""
        ...

    def open(self, store: Store) -> Retriever:
        """A search over the passages of a store.

        Raises:
            RunError: what it needs is missing or older than the documents, or was made by other rules.
        """
        ...


def searched(hit: Hit) -> str:
    """The text by which a document is found: its title belongs to it."""
    return f"{hit.title}\n{hit.text}" if hit.title else hit.text


def as_hit(passage: Passage) -> Hit:
    """A passage as it is retrieved, without a score."""
    place = getattr(passage, "place", "")
    return Hit(passage.document, 0.0, passage.text, passage.title, passage.start, place)


def at_least_one(k: int) -> int:
    """How many hits are asked for.

    Raises:
        RecipeError: less than one.
    """
    if k < 1:
        raise RecipeError(f"k is {k}; it must be at least 1.")
    return k


def again(store: Store, *options: str) -> str:
    """The sentence that says how to make an index current."""
    words = ["espalier", "index", store.meta("folder") or "FOLDER", "--out", str(store.path), *options]
    return f"Index the folder again: {shlex.join(words)}"


def stale(store: Store) -> RunError:
    """What is said of an index whose documents are not those that its search was made of."""
    return RunError(
        f"{store.path} is not ready: indexing was stopped before the end, or goes on just now. {again(store)}"
    )


def lacking(store: Store, name: str) -> RunError:
    """What is said of an index that was never made for a retriever."""
    return RunError(f"{store.path} keeps nothing for {name}. {again(store, '--retriever', name)}")
