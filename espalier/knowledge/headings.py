"""The headings of a Markdown text, and the sections that they open."""

from __future__ import annotations

import re
from collections.abc import Iterator

_FENCE = re.compile(r" {0,3}(```|~~~)")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")
_UNDERLINE = re.compile(r"(?:={3,}|-{3,})[ \t]*$")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_LONGEST_HEADING = 200  # characters; a longer line is text


def first_heading(text: str) -> str:
    """The first heading of a Markdown text; "" if it has none."""
    return next((name for *_, name in _headings(text)), "")


def sections(text: str) -> Iterator[tuple[int, int, tuple[str, ...]]]:
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
