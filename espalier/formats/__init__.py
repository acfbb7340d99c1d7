"""What rows look like, one reader a file, and how the fitting one is found.

A reader has a `TITLE`, `detect(row)`, which looks at the columns, and `convert(row)`, which returns the canonical
fields or raises `Malformed`; `FIELDS` are the columns that convert uses up under other names. Where a row to train on
is not one record, the reader also has `expand(records)`, which gives the records to convert. To add a reader, write the
file and put it in `READERS` before every reader that is less specific.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from espalier.formats import (
    alpaca,
    alpaca_eval,
    hh,
    messages,
    open_webui,
    open_webui_pairs,
    plain,
    questions,
    self_instruct,
    sharegpt,
    trl,
)
from espalier.formats.fields import Fields


class Reader(Protocol):
    """What a module of this folder offers."""

    @property
    def TITLE(self) -> str: ...  # noqa: N802
    @property
    def FIELDS(self) -> frozenset[str]: ...  # noqa: N802
    def detect(self, row: Fields, /) -> bool: ...
    def convert(self, row: Fields, /) -> dict[str, Any]: ...


READERS: dict[str, Reader] = {
    "open_webui": open_webui,
    "open_webui_pairs": open_webui_pairs,
    "hh": hh,
    "sharegpt": sharegpt,
    "alpaca_eval": alpaca_eval,
    "self_instruct": self_instruct,
    "alpaca": alpaca,
    "trl": trl,
    "messages": messages,
    "questions": questions,
    "plain": plain,
}  # the most specific first

CANONICAL = ("prompt", "completion", "chosen", "rejected", "label", "messages", "question", "answers", "text")


def fitting(rows: Sequence[Fields], *, mapped: bool = False) -> list[str]:
    """The names of the readers that fit the rows, the most specific first; empty if none does.

    Args:
        rows: the first rows of a source.
        mapped: whether the user named canonical columns; the readers of canonical fields then come first.
    """
    fits = {name: sum(reader.detect(row) for row in rows) for name, reader in READERS.items()}
    enough = max(fits.values(), default=0) / 2  # a few rows that lack a field must not change what the file is
    names = [name for name, count in fits.items() if count and count >= enough]
    return sorted(names, key=lambda name: name not in ("trl", "messages", "questions", "plain")) if mapped else names
