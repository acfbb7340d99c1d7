"""An answer claim by claim: each sentence or point with its place, what it cites, and what of it the quotes lack.

    Belmi was born in Kastel [1]. She worked as a mason [2].     two claims, each with a citation of its own

Marks count the answer's citations, from 1. A model that is shown numbered passages writes the numbers of those;
`renumber` turns them, once and right after the reply, into citations numbered as they are mentioned.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase

from espalier import reading
from espalier.contracts import Answer, Citation, Hit
from espalier.knowledge.chunks import sentences
from espalier.support import unsupported

_MARK = re.compile(r"\s*\[(\d{1,3}[a-z]?(?:\s*[,;]\s*\d{1,3}[a-z]?)*)\]")
_BEHIND = re.compile(rf"([.!?\u3002\uff01\uff1f]+)((?:{_MARK.pattern})+)")  # marks behind their sentence's end
_POINT = re.compile(r"(?:[-*+\u2022>]\s+|\d{1,3}[.)]\s+)+")
_NO_CLAIM = re.compile(r"#.*|.*[:\uff1a]|[\W_]*", re.DOTALL)  # a heading, what introduces a list, no word at all


@dataclass(frozen=True)
class Claim:
    """One thing that an answer says."""

    text: str  # without marks
    start: int  # where it stands, with its marks: answer.text[start:end]
    end: int
    citations: tuple[int, ...] = ()  # numbers in the answer's citations, from 1
    supported: bool = False  # a verified quote has every name, number and content word of it
    missing: tuple[str, ...] = ()  # what the quotes lack, and marks that name no citation


def claims_of(answer: Answer) -> tuple[Claim, ...]:
    """The claims of an answer; none where it abstains.

    A claim with marks cites by them, and one without cites nothing if another has some. Where the whole answer has no
    mark, a claim rests on the quotes that share a word with it, and an answer of one claim on all of them.
    """
    if reading.Reading(answer.text).abstained:
        return ()
    spans = _spans(answer.text)
    marked = _MARK.search(answer.text) is not None
    return tuple(_claim(answer, start, end, marked=marked, alone=len(spans) == 1) for start, end in spans)


def renumber(answer: Answer) -> Answer:
    """The answer with marks of shown passages, [3] or [3a], made into citations, numbered in the order of mention.

    A passage's mark stands for the quotes from it, or for the passage where nothing of it was quoted. A mark of what
    was not shown becomes a citation that is not verified. Quotes without a mark come last; without marks nothing
    changes.
    """
    found: dict[Citation, int] = {}

    def number(mark: re.Match[str]) -> str:
        labels = re.findall(r"\d+[a-z]?", mark[1])
        cited = dict.fromkeys(citation for label in labels for citation in _shown(label, answer))
        numbers = [found.setdefault(citation, len(found) + 1) for citation in cited]
        space = mark[0][: len(mark[0]) - len(mark[0].lstrip())]
        return space + "".join(f"[{one}]" for one in numbers)

    text = _MARK.sub(number, answer.text)
    return replace(answer, text=text, citations=tuple(dict.fromkeys((*found, *answer.citations))))


def _spans(text: str) -> list[tuple[int, int]]:
    """Where claims begin and end, without the signs of list items."""
    found = []
    for start, end in sentences(_BEHIND.sub(lambda match: match[2] + match[1], text)):
        if point := _POINT.match(text, start, end):
            start = point.end()
        if not _NO_CLAIM.fullmatch(_MARK.sub("", text[start:end]).strip()):
            found.append((start, end))
    return found


def _claim(answer: Answer, start: int, end: int, *, marked: bool, alone: bool) -> Claim:
    part = answer.text[start:end]
    said = _MARK.sub("", part).strip()
    marks = dict.fromkeys(label for match in _MARK.finditer(part) for label in re.findall(r"\d+[a-z]?", match[1]))
    known = {str(number): number for number in range(1, len(answer.citations) + 1)}
    if marked:
        numbers = tuple(known[mark] for mark in marks if mark in known)
    else:
        numbers = tuple(n for n in known.values() if alone or _shares(said, answer.citations[n - 1].quote))
    cited = [answer.citations[number - 1] for number in numbers]
    quotes = [text for citation in cited if citation.verified for text in (citation.quote, _title(citation, answer))]
    lacking = [said[slice(*span)] for span in unsupported(said, quotes)]
    lacking += [f"[{mark}]" for mark in marks if mark not in known]
    return Claim(said, start, end, numbers, bool(quotes) and not lacking, tuple(lacking))


def _shares(said: str, quote: str) -> bool:
    return unsupported(said, [quote]) != unsupported(said, [])


def _title(citation: Citation, answer: Answer) -> str:
    """What the passage of a citation is about, which its sentences need not repeat."""
    return next((hit.title for hit in answer.hits if _within(citation, hit)), "")


def _within(citation: Citation, hit: Hit) -> bool:
    there = citation.verified and hit.document == citation.document
    return there and hit.start <= citation.start and citation.end <= hit.start + len(hit.text)


def _shown(label: str, answer: Answer) -> Sequence[Citation]:
    """What a label of the prompt stands for."""
    number, letter = int(re.sub(r"\D", "", label)), label[-1] if label[-1].isalpha() else ""
    if not 0 < number <= len(answer.hits):
        return [Citation(f"[{label}]")]
    hit = answer.hits[number - 1]
    places = reading.spans(hit.text)
    if not letter:
        quoted = [citation for citation in answer.citations if _within(citation, hit)]
        return quoted or [_cited(hit, 0, len(hit.text))]
    at = ascii_lowercase.index(letter)
    if at >= len(places):
        return [Citation(f"[{label}]")]
    start, end = places[at]
    whole = _cited(hit, start, end)
    return [one for one in answer.citations if (one.document, one.start, one.end) == _place(whole)] or [whole]


def _cited(hit: Hit, start: int, end: int) -> Citation:
    return Citation(hit.text[start:end], hit.document, hit.start + start, hit.start + end, True, hit.place)


def _place(citation: Citation) -> tuple[str, int, int]:
    return citation.document, citation.start, citation.end
