"""Passages cut into strips that keep their place, and strips put together again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from espalier.analysis import UNSPACED
from espalier.contracts import Hit
from espalier.knowledge.chunks import sentences

Strips = Literal["sentences", "words", "passage"]
Order = Literal["document", "score"]

GROUP, WORDS, REST = 3, 50, 10  # sentences of a strip; words of one; fewer words than this stay with the strip before
_WORD = re.compile(f"[{UNSPACED}]|[^\\s{UNSPACED}]+")  # where words are not spaced, a letter counts as one


@dataclass(frozen=True)
class Strip:
    """A stretch of a passage: hit.text[start:end]."""

    hit: Hit
    start: int
    end: int
    score: float | None = None

    @property
    def text(self) -> str:
        """What it says."""
        return self.hit.text[self.start : self.end]


def decompose(hits: Sequence[Hit], strips: Strips) -> list[Strip]:
    """The strips of passages, in order; the same strip of overlapping passages once."""
    found: dict[tuple[str, int, str], Strip] = {}
    for hit in hits:
        for start, end in _spans(hit.text, strips):
            strip = Strip(hit, start, end)
            found.setdefault((hit.document, hit.start + start, strip.text), strip)
    return list(found.values())


def recompose(strips: Iterable[Strip], keep: int, order: Order) -> tuple[Hit, ...]:
    """The best strips as passages: in the order of the documents, neighbors joined, or by score, each by itself.

    Args:
        strips: as `decompose` gives them, scored; those without a score are left out.
        keep: how many.
        order: of the passages.
    """
    numbered = [(number, strip) for number, strip in enumerate(strips) if strip.score is not None]
    best = sorted(numbered, key=lambda pair: (-(pair[1].score or 0.0), pair[0]))[:keep]
    if order == "score":
        return tuple(_hit(strip) for _, strip in best)
    joined: list[tuple[int, Strip]] = []
    for number, strip in sorted(best, key=lambda pair: pair[0]):
        if joined and joined[-1][0] == number - 1 and joined[-1][1].hit is strip.hit:
            before = joined.pop()[1]
            strip = replace(before, end=strip.end, score=max(before.score or 0.0, strip.score or 0.0))
        joined.append((number, strip))
    return tuple(_hit(strip) for _, strip in joined)


def _hit(strip: Strip) -> Hit:
    return replace(strip.hit, score=strip.score or 0.0, text=strip.text, start=strip.hit.start + strip.start)


def _spans(text: str, strips: Strips) -> list[tuple[int, int]]:
    if strips == "passage":
        return [(0, len(text))] if text.strip() else []
    units, size = (
        (sentences(text), GROUP) if strips == "sentences" else ([m.span() for m in _WORD.finditer(text)], WORDS)
    )
    groups = [units[at : at + size] for at in range(0, len(units), size)]
    if strips == "words" and len(groups) > 1 and len(groups[-1]) < REST:
        groups[-2:] = [groups[-2] + groups[-1]]
    return [(group[0][0], group[-1][1]) for group in groups]
