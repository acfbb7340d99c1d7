"""Cutting a text into passages that keep their exact place in it.

Every span is `text[start:end]`: nothing is rewritten, so that a citation can point at the document itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from espalier.errors import RecipeError, unknown
from espalier.knowledge.headings import sections
from espalier.knowledge.lengths import Length, Measure
from espalier.knowledge.pieces import SENTENCES, Span, between, packed, pieces, trimmed
from espalier.knowledge.sentences import sentence_cuts

_WORD_START = re.compile(r"(?<=\s)\S")


@dataclass(frozen=True)
class Chunk:
    """A passage `text[start:end]`; its title is the document's and the headings above it, "Guide > Installing"."""

    start: int
    end: int
    title: str


def cut(
    text: str, *, title: str = "", size: int = 700, overlap: int = 0, chunker: str = "structure",
    length: Length | None = None,
) -> list[Chunk]:  # fmt: skip
    """Passages of a text, in order; together they hold every character that is not a space.

    Args:
        text: the whole document.
        title: the document's.
        size: the longest passage; one character alone may be longer in tokens.
        overlap: how much of the passage before a passage repeats at most.
        chunker: "structure": a heading opens a passage and is part of its title; between headings as much as fits
            stays together, first of whole paragraphs, then of sentences, lines, words and at last characters, in
            passages of similar length. "sentence": whole sentences, without regard to headings; they also overlap in
            whole sentences. "fixed": so many characters or tokens, wherever that cuts.
        length: counts what size and overlap are in, such as a model's tokens; characters if not given.

    Raises:
        RecipeError: size and overlap leave no room, or there is no such chunker.
    """
    if size < 1 or not 0 <= overlap < size:
        raise RecipeError(f"size {size} and overlap {overlap}: size is at least 1 and overlap from 0 to below size.")
    if chunker not in CHUNKERS:
        raise RecipeError(unknown("chunker", chunker, CHUNKERS))
    return list(CHUNKERS[chunker](Measure(text.rstrip(), length), title, size, overlap))


def sentences(text: str) -> list[Span]:
    """The spans of the sentences of a text, without the spaces around them."""
    return list(between(text, 0, len(text), sentence_cuts(text, 0, len(text))))


def _structure(measure: Measure, title: str, size: int, overlap: int) -> Iterator[Chunk]:
    for start, end, path in sections(measure.text):
        name = " > ".join(filter(None, (title, *(path[1:] if path[:1] == (title,) else path))))
        spans, lowest = list(pieces(measure, start, end, size - overlap)), start
        for first, last in packed(measure, spans, end, size - overlap):
            a, b = spans[first][0], spans[last][1]
            yield Chunk(_word(measure, a, b, lowest, size, overlap) if overlap else a, b, name)
            lowest = a + 1


def _sentence(measure: Measure, title: str, size: int, overlap: int) -> Iterator[Chunk]:
    end = len(measure.text)
    spans, lowest = list(pieces(measure, 0, end, size - overlap, SENTENCES)), 0
    for start, last in packed(measure, spans, end, size - overlap):
        a, b = spans[start][0], spans[last][1]
        while start > lowest and measure(spans[start - 1][0], a) <= overlap and measure(spans[start - 1][0], b) <= size:
            start -= 1
        yield Chunk(spans[start][0], b, title)
        lowest = start + 1


def _fixed(measure: Measure, title: str, size: int, overlap: int) -> Iterator[Chunk]:
    text, start, done = measure.text, 0, 0
    while start < len(text) and (span := trimmed(text, start, len(text))):
        start = span[0]
        stop = measure.furthest(start, len(text), size)
        found = trimmed(text, start, stop)
        if found and found[1] > done:
            done = found[1]
            yield Chunk(*found, title)
        if stop == len(text):
            return
        start = _whole(text, measure.earliest(stop, start + 1, overlap), stop) if overlap else stop


CHUNKERS: dict[str, Callable[[Measure, str, int, int], Iterator[Chunk]]] = {
    "structure": _structure,
    "sentence": _sentence,
    "fixed": _fixed,
}


def _word(measure: Measure, start: int, end: int, lowest: int, size: int, overlap: int) -> int:
    """The first word with which a passage can begin earlier; where words have no spaces, the first character."""
    earliest = measure.earliest(start, min(lowest, start), overlap)
    found = _WORD_START.search(measure.text, earliest, start + 1)
    begin = found.start() if found else _whole(measure.text, earliest, start)
    return begin if measure(begin, end) <= size else start


def _whole(text: str, start: int, end: int) -> int:
    """A position with a character of its own, no space and no accent of the letter before."""
    while start < end and (text[start].isspace() or unicodedata.combining(text[start])):
        start += 1
    return start
