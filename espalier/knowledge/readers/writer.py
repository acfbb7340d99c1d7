"""The text of a document as a reader writes it: headings as in Markdown, rows of tables, and where each page begins."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from espalier.errors import RowError
from espalier.knowledge.places import Places

CHARACTERS = 50_000_000  # of one document
DEEPEST = 6  # level of a heading


@dataclass(frozen=True)
class Extract:
    """What a reader found; the text is in Unicode's composed form (NFC)."""

    title: str
    text: str
    places: Places = ()
    notes: tuple[str, ...] = ()


class Writer:
    """Collects a text block by block; every block stands on lines of its own."""

    def __init__(self, name: str) -> None:
        self.first_heading = ""
        self._name = name
        self._parts: list[str] = []
        self._places: list[tuple[int, str]] = []
        self._length = 0
        self._in_table = False

    def place(self, name: str) -> None:
        """A page, slide or sheet begins."""
        self._in_table = False
        self._places.append((self._length + 2 * bool(self._parts), name))

    def heading(self, level: int, text: str) -> None:
        """A heading, on one line."""
        if line := _line(text):
            self.first_heading = self.first_heading or line
            self._add(f"{'#' * min(max(level, 1), DEEPEST)} {line}")

    def paragraph(self, text: str) -> None:
        """A paragraph; line breaks inside it stay."""
        lines = (" ".join(line.split()) for line in text.splitlines())
        self._add("\n".join(filter(None, lines)))

    def row(self, cells: Iterable[str]) -> None:
        """A row of a table; rows that follow each other make one block."""
        self._add(" | ".join(map(_line, cells)).rstrip(" |").lstrip(), in_table=True)

    def end_table(self) -> None:
        """The next row belongs to another table."""
        self._in_table = False

    def extract(self, title: str = "", notes: Iterable[str] = ()) -> Extract:
        """All of it."""
        text = "".join(self._parts)
        places = tuple((min(start, len(text)), _composed(name)) for start, name in self._places)
        return Extract(_composed(_line(title)), text, places, tuple(notes))

    def _add(self, block: str, *, in_table: bool = False) -> None:
        if not block:
            return
        gap = "" if not self._parts else "\n" if in_table and self._in_table else "\n\n"
        block = gap + _composed(block)
        self._parts.append(block)
        self._length += len(block)
        self._in_table = in_table
        if self._length > CHARACTERS:
            raise RowError(f"{self._name} holds more than {CHARACTERS / 1e6:,.0f} million characters; split it.")


def _line(text: str) -> str:
    return " ".join(text.split())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).replace("\0", "\ufffd")
