"""Quotes found again in the text they are taken from."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from espalier.analysis import UNSPACED, aligned
from espalier.contracts import Citation, Hit

_ALIKE = str.maketrans({
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u201c": '"', "\u201d": '"', "\u201e": '"',
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": "-", "\u2212": "-",
})  # fmt: skip
_AROUND = "\"'\u2018\u2019\u201c\u201d\u201e\u300c\u300d \n\t"  # what a quote may be wrapped in
_UNSPACED = re.compile(f"[{UNSPACED}]")


def locate(quote: str, text: str) -> tuple[int, int] | None:
    """Where a quote stands in a text: text[start:end].

    Exactly, or else but for white space, the form of quotation marks and dashes, and the composition of letters.
    It may not begin or end inside a word, except where words are not spaced.

    Args:
        quote: as a model gave it; quotation marks around it are dropped if it is not found with them.
        text: the original, which the offsets are of.
    """
    for wanted in dict.fromkeys((quote.strip(), quote.strip(_AROUND))):
        found = wanted and (next(_exact(wanted, text), None) or next(_near(wanted, text), None))
        if found:
            return found
    return None


def cite(quotes: Sequence[str], hits: Sequence[Hit]) -> tuple[Citation, ...]:
    """Each quote with its place in the first passage that has it; in none, it is not verified."""
    return tuple(dict.fromkeys(_cited(quote, hits) for quote in quotes if quote.strip()))


def _cited(quote: str, hits: Sequence[Hit]) -> Citation:
    for hit in hits:
        if found := locate(quote, hit.text):
            start, end = (hit.start + at for at in found)
            return Citation(quote, hit.document, start, end, verified=True, place=hit.place)
    return Citation(quote)


def _exact(quote: str, text: str) -> Iterator[tuple[int, int]]:
    start = text.find(quote)
    while start >= 0:
        end = start + len(quote)
        if not (_inside_word(text, start) or _inside_word(text, end)):
            yield start, end
        start = text.find(quote, start + 1)


def _near(quote: str, text: str) -> Iterator[tuple[int, int]]:
    normal, starts, ends = aligned(text, _normal)
    pattern = r"\s+".join(map(re.escape, _normal(quote).split()))
    for match in re.finditer(pattern, normal):
        if not (_inside_word(normal, match.start()) or _inside_word(normal, match.end())):
            yield starts[match.start()], ends[match.end() - 1]


def _inside_word(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    return before.isalnum() and after.isalnum() and not _UNSPACED.match(before) and not _UNSPACED.match(after)


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text).translate(_ALIKE)
