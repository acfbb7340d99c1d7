"""What a text says in words that other texts do not have: no model, so neither negation nor paraphrase is known.

Words are compared as a search compares them, English ones without their endings. A Korean word is there if its first
half is, for its particles and endings come last. Where words are not spaced at all, two characters or more must be new
in a row: one alone is often a function word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from espalier.analysis import UNSPACED, Analyzer
from espalier.knowledge.chunks import sentences

Span = tuple[int, int]

_SAID = (  # beside stop words, what English says without stating anything; "May" may be a month
    "he she him her hers his its their theirs them they i me my we us our you your who whom whose which what where "
    "when while has have had been being were do does did can could would should also both only so thus therefore "
    "however moreover according passage passages"
)
LIGHT = frozenset(_SAID.split())
_RUN = re.compile(f"[{UNSPACED}]+")
_HANGUL = re.compile("[\u1100-\u11ff\u3131-\u318e\uac00-\ud7a3]")
_JOINS = re.compile(r"[\s\-\u2010-\u2015]*")  # what may stand between two words of one span
_WORD = re.compile(r"[^\W_]")


def unsupported(text: str, sources: Iterable[str], *, names: bool = False) -> list[Span]:
    """Where a text has words that none of the sources has; neighbors are one span.

    Args:
        text: what is said.
        sources: what it should rest on.
        names: only numbers and what is written as a name; of unspaced scripts, which do not tell, all words.
    """
    analyzer = Analyzer()
    known = set(analyzer("\n".join(sources)))
    terms = analyzer.spans(text)
    pairs = [(start, end) for term, start, end in terms if _RUN.match(term) and len(term) > 1 and term in known]
    covered = {at for start, end in pairs for at in range(start, end)}
    words = [(term, start, end) for term, start, end in terms if not _RUN.match(term)]
    found = [(at, end) for term, at, end in words if term not in known and not _is_light(text[at:end])]
    if names:
        first = _first_words(text)
        found = [span for span in found if _is_name(text, span, first)]
    for run in _RUN.finditer(text):
        found += _new(run, covered, known)
    return _merged(text, sorted(found))


def _new(run: re.Match[str], covered: set[int], known: set[str]) -> Iterator[Span]:
    """The stretches of an unspaced run that are new."""
    start, end = run.span()
    if end - start == 1:
        if run[0] not in known:
            yield start, end
    elif _HANGUL.match(run[0]):
        half = max(2, (end - start + 1) // 2)
        if not all(at in covered for at in range(start, start + half)):
            yield start, end
    else:
        letters = "".join("-" if at in covered else "x" for at in range(start, end))
        yield from ((start + stretch.start(), start + stretch.end()) for stretch in re.finditer("xx+", letters))


def _is_light(word: str) -> bool:
    return word.casefold() in LIGHT and not (word.isupper() and len(word) > 1)  # "US" and "WHO" are names


def _first_words(text: str) -> set[int]:
    found = (_WORD.search(text, start, end) for start, end in sentences(text))
    return {match.start() for match in found if match}


def _is_name(text: str, span: Span, first: set[int]) -> bool:
    """Whether a word has a digit or a capital; the first of a sentence only if a word with a capital follows it."""
    start, end = span
    if any(char.isdigit() for char in text[start:end]):
        return True
    followed = re.match(r"[ -](\w)", text[end:])
    return text[start].isupper() and (start not in first or (followed is not None and followed[1].isupper()))


def _merged(text: str, spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for start, end in spans:
        if found and start <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        elif found and _JOINS.fullmatch(text, found[-1][1], start):
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found
