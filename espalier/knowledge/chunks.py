"""Cutting a text into passages that keep their exact place in it.

Every span is `text[start:end]`: nothing is rewritten, so that a citation can point at the document itself.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from espalier.errors import RecipeError
from espalier.knowledge.sentences import sentence_cuts

Span = tuple[int, int]

_FENCE = re.compile(r" {0,3}(```|~~~)")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
_UNDERLINE = re.compile(r"(?:={3,}|-{3,})[ \t]*$")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_WORD_START = re.compile(r"(?<=\s)\S")
_LONGEST_HEADING = 200  # characters; a longer line is text


@dataclass(frozen=True)
class Chunk:
    """A passage `text[start:end]`; its title is the document's and the headings above it, "Guide > Installing"."""

    start: int
    end: int
    title: str


def cut(text: str, *, title: str = "", size: int = 700, overlap: int = 0) -> list[Chunk]:
    """Passages of a text, in order; together they hold every character that is not a space.

    A heading opens a new passage. Between headings as much as fits stays together, first of whole paragraphs, then of
    sentences, lines, words and at last characters; the passages of a section are of similar length.

    Args:
        text: the whole document.
        title: the document's.
        size: characters a passage has at most.
        overlap: characters of the passage before that a passage repeats at most, within a section.

    Raises:
        RecipeError: size and overlap leave no room.
    """
    if size < 1 or not 0 <= overlap < size:
        raise RecipeError(f"size {size} and overlap {overlap}: size is at least 1 and overlap from 0 to below size.")
    chunks = []
    for start, end, path in _sections(text.rstrip()):
        name = " > ".join(filter(None, (title, *(path[1:] if path[:1] == (title,) else path))))
        lowest = start
        for a, b in _pack(_pieces(text, start, end, size - overlap), end, size - overlap):
            chunks.append(Chunk(_earlier(text, a, max(lowest, a - overlap)) if overlap else a, b, name))
            lowest = a + 1
    return chunks


def sentences(text: str) -> list[Span]:
    """The spans of the sentences of a text, without the spaces around them."""
    return list(_between(text, 0, len(text), sentence_cuts(text, 0, len(text))))


def first_heading(text: str) -> str:
    """The first heading of a Markdown text; "" if it has none."""
    return next((name for *_, name in _headings(text)), "")


def _headings(text: str) -> Iterator[tuple[int, int, int, str]]:
    """Where each heading starts and ends, its level and its text; not those inside a fenced block of code."""
    fence, start = "", 0
    above = previous = ""  # the two lines before
    for line in text.split("\n"):
        end = start + len(line)
        if marked := _FENCE.match(line):
            if fence in ("", marked[1]):
                fence = "" if fence else marked[1]
        elif not fence and len(line) <= _LONGEST_HEADING:
            if found := _HEADING.match(line):
                yield start, end, len(found[1]), _plain(found[2])
            elif _UNDERLINE.match(line) and _is_underlined(previous, above):
                yield start - len(previous) - 1, end, 1 if line[0] == "=" else 2, _plain(previous)
        above, previous, start = previous, line, end + 1


def _is_underlined(line: str, above: str) -> bool:
    return line[:1].isalnum() and len(line) <= _LONGEST_HEADING and not above.strip()


def _plain(heading: str) -> str:
    """A heading without its closing marks, links and emphasis."""
    return _LINK.sub(r"\1", heading).strip().rstrip("#").replace("*", "").replace("`", "").strip()


def _sections(text: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Start, end and path of headings of each section; headings with nothing between them open one together."""
    start = body = 0
    path: list[tuple[int, str]] = []
    for begin, end, level, name in _headings(text):
        if text[body:begin].strip():
            yield start, begin, tuple(name for _, name in path)
            start = begin
        path = [*((upper, above) for upper, above in path if upper < level), (level, name)]
        body = end
    yield start, len(text), tuple(name for _, name in path)


def _pieces(text: str, start: int, end: int, limit: int, level: int = 0) -> Iterator[Span]:
    """The largest parts that are no longer than the limit, each without the spaces around it."""
    if level == len(_LEVELS):
        yield from _characters(text, start, end, limit)
        return
    for a, b in _between(text, start, end, _LEVELS[level](text, start, end)):
        if b - a <= limit:
            yield a, b
        else:
            yield from _pieces(text, a, b, limit, level + 1)


def _between(text: str, start: int, end: int, cuts: Iterable[int]) -> Iterator[Span]:
    """The spans between positions, without the spaces around them and without empty ones."""
    for cut in itertools.chain(cuts, (end,)):
        a, b = start, cut
        while a < b and text[a].isspace():
            a += 1
        while a < b and text[b - 1].isspace():
            b -= 1
        if a < b:
            yield a, b
        start = cut


def _characters(text: str, start: int, end: int, limit: int) -> Iterator[Span]:
    """A word longer than the limit, in parts that begin with a character of their own where that is possible."""
    while end - start > limit:
        stop = start + limit
        while stop > start and unicodedata.combining(text[stop]):
            stop -= 1
        stop = stop if stop > start else start + limit
        yield start, stop
        start = stop
    yield start, end


def _pack(pieces: Iterator[Span], last: int, limit: int) -> Iterator[Span]:
    """Neighbors joined up to the limit, in spans of similar length; `last` is where the last one ends."""
    first = next(pieces, None)
    if first is None:
        return
    start, end = first
    goal = _share(last - start, limit)
    for a, b in pieces:
        if b - start > limit or end - start >= goal:
            yield start, end
            start, goal = a, _share(last - a, limit)
        end = b
    yield start, end


def _share(length: int, limit: int) -> float:
    """The length of each of as few equal parts as the limit allows."""
    return length / -(-length // limit)


def _earlier(text: str, start: int, lowest: int) -> int:
    """The first word that begins between two positions; where words have no spaces, the lower position."""
    found = _WORD_START.search(text, lowest, start + 1)
    if found:
        return found.start()
    while lowest < start and (text[lowest].isspace() or unicodedata.combining(text[lowest])):
        lowest += 1
    return lowest


def _every(pattern: str) -> Callable[[str, int, int], Iterator[int]]:
    compiled = re.compile(pattern)
    return lambda text, start, end: (found.end() for found in compiled.finditer(text, start, end))


_LEVELS = (_every(r"\n[^\S\n]*\n"), sentence_cuts, _every(r"\n"), _every(r"\s+"))  # paragraphs to words
