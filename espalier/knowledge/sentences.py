"""Where sentences end: after . ! ? and their Chinese, Japanese and Korean forms, and at line breaks that mean one."""

from __future__ import annotations

import re
from collections.abc import Iterator

_BLANK = re.compile(r"\n[^\S\n]*\n\s*")
_STOP = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'\u201d\u2019»)\]]*+(?=\s)"
    r"|[。！？｡]+[」』\u201d\u2019\"')）】》]*"
    r"|(?<=[다요죠까])[.!?]++(?=[가-힣])"  # Korean is often written without the space
    r"|\n"
)
_NEXT = re.compile(r"\s+[\"'\u201c\u2018«(\[]*([^\W_]*)")
_WORD = re.compile(r"[^\s(\[\"'\u201c\u2018«]*\Z")
_LISTED = re.compile(r"\s*(?:[-*+•·◦▪]\s|\d{1,3}[.)]\s|[#|>])")
_ABBREVIATION = re.compile(
    r"mr|mrs|ms|dr|prof|rev|hon|gen|gov|sen|rep|lt|col|sgt|capt|sr|jr|st|mt|ft|vs|etc|cf|al|ca|approx|est|dept|univ|"
    r"inc|ltd|co|corp|bros|jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec|ph\.d|(?:[a-z]{1,2}\.)*[a-z]",  # and U.S
    re.IGNORECASE | re.ASCII,
)
_BEFORE_NUMBER = re.compile(r"nos?|vol|pp?|figs?|eqs?|secs?|ch|art|para", re.IGNORECASE)
_STARTER = re.compile(  # with one of these a sentence begins even after an abbreviation
    "The|This|That|These|Those|He|She|It|We|They|You|There|Here|His|Her|Its|Their|Our|My|In|On|At|By|For|From|To|With|"
    "After|Before|When|While|Since|As|If|But|And|So|However|Although|An|What|Who|How|Why"
)
_WIDEST = 120  # characters of a line that a person or program has wrapped


def sentence_cuts(text: str, start: int, end: int) -> Iterator[int]:
    """The positions in `text[start:end]` after which a new sentence begins."""
    for blank in _BLANK.finditer(text, start, end):
        yield from _within(text, start, blank.start())
        start = blank.end()
        yield start
    yield from _within(text, start, end)


def _within(text: str, start: int, end: int) -> Iterator[int]:
    """The same within a paragraph."""
    wrapped, line = _wrapped(text, start, end), start
    for stop in _STOP.finditer(text, start, end):
        mark = stop[0][0]
        if mark == "\n":
            if stop.start() not in wrapped:
                yield stop.end()
            line = stop.end()
        elif mark in "。！？｡" or stop.end() == end or not text[stop.end()].isspace() or _ends(text, line, stop, end):
            yield stop.end()


def _wrapped(text: str, start: int, end: int) -> set[int]:
    """The line breaks of a paragraph that are there only because the next word had no room, if most of them are."""
    lines = text[start:end].split("\n")
    width = max(map(len, lines))
    wrapped, meant, at = set(), 0, start - 1
    for line in lines[:-1]:
        at += len(line) + 1
        if line.startswith("#") or _LISTED.match(text, at + 1, end):
            continue
        word = _NEXT.match(text, at, end)
        if len(line) + (word.end() - at if word else 0) > width:
            wrapped.add(at)
        else:
            meant += 1
    return wrapped if width <= _WIDEST and len(wrapped) > meant else set()


def _ends(text: str, line: int, stop: re.Match[str], end: int) -> bool:
    """Whether a stop that is followed by a space ends a sentence."""
    found = _NEXT.match(text, stop.end(), end)
    following = found[1] if found else ""
    if following[:1].islower():
        return False
    if stop[0] != ".":
        return True
    before = _WORD.search(text[max(line, stop.start() - 20) : stop.start()])
    word = before[0] if before else ""
    if word.isdigit() and not text[line : stop.start() - len(word)].strip():
        return False  # "1. Install" in a list
    if _BEFORE_NUMBER.fullmatch(word) and following[:1].isdigit():
        return False
    return not _ABBREVIATION.fullmatch(word) or bool(_STARTER.fullmatch(following))
