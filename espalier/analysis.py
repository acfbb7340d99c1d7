"""Text as the terms it is searched by: words of most languages, single characters and pairs where none are spaced.

A run of Han, Kana, Hangul, Thai, Lao, Khmer or Burmese gives each of its characters and each pair of neighbors, so that
Korean particles and Chinese compounds need no dictionary. Any other run of letters and digits is a word, and English
words lose their endings (Porter, 1980). What kind a run is decides its script, whatever stands around it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from espalier.errors import RunError

VERSION = "words-cjk-1"  # another number for any change in the terms: what was indexed before has to be indexed again
UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3041-\u30ff\u3131-\u318e\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U000323af"
)
_COMMON = (  # Lucene's stop words for English
    "a an and are as at be but by for if in into is it no not of on or such that the their then there these they this "
    "to was will with"
)
STOPWORDS = frozenset(_COMMON.split())
_ASKING = (  # what makes a text a question and is no part of what it asks for; "May" and "Will" may be names
    "what which who whom whose when where why how do does did has have had were can could would should many much "
    "apa apakah siapa siapakah mana manakah kapan kapankah mengapa kenapa bagaimana bagaimanakah berapa berapakah"
)
_ASKED = re.compile(
    rf"\b(?:{'|'.join(sorted(_ASKING.split(), key=len, reverse=True))})\b"
    "|무엇|무슨|언제|어디|누구|누가|어떻게|어떤|어느|얼마나|얼마|몇|왜(?=\\s)"
    "|(?:인가요|나요|까요|입니까|습니까|인가|는가)(?=\\W*$)"
    "|为什么|為什麼|什么|什麼|怎么|怎麼|怎样|怎樣|多少|哪里|哪裡|哪儿|哪个|哪個|何时|何時|谁|誰|[吗嗎呢](?=\\W*$)",
    re.IGNORECASE,
)
_JAMO = re.compile("[\u1160-\u11ff]")  # vowels and finals of Hangul, which join what stands before them

Term = tuple[str, int, int]  # a term, and where in the text it begins and ends


@dataclass(frozen=True)
class Analyzer:
    """Makes text terms, the same way for passages and for queries."""

    stem: bool = True  # English words lose their endings
    stopwords: bool = True  # the commonest English words are left out

    @property
    def id(self) -> str:
        """What an index remembers: a query analyzed otherwise would not find what is in it."""
        return VERSION + ("-porter" if self.stem else "") + ("-stopwords" if self.stopwords else "")

    @classmethod
    def of(cls, name: str) -> Analyzer | None:
        """The analyzer with this id; None where this version has none."""
        known = [cls(stem, stopwords) for stem in (True, False) for stopwords in (True, False)]
        return next((analyzer for analyzer in known if analyzer.id == name), None)

    def __call__(self, text: str) -> list[str]:
        """The terms of a text, repeated as often as they occur."""
        return [term for term, _, _ in self._terms(_folded(text))]

    def query(self, text: str) -> str:
        """A query with spaces in place of its question words, unless nothing would be left.

        These are the question words of English, Indonesian, Korean and Chinese, with English auxiliaries and the
        endings of questions. Passages keep them, and a word in capitals stays ("What does the WHO do?").
        """
        if not self.stopwords or text.isupper():
            return text
        text = unicodedata.normalize("NFC", text)
        left = _ASKED.sub(lambda found: found[0] if _is_name(found[0]) else " " * len(found[0]), text)
        return left if self(left) else text

    def spans(self, text: str) -> list[Term]:
        """The same terms, and where in the text each stands."""
        folded, starts, ends = aligned(text, _folded)
        return [(term, starts[start], ends[end - 1]) for term, start, end in self._terms(folded)]

    def matches(self, query: str, text: str) -> list[tuple[int, int]]:
        """Where a text has words of a query; of an unspaced run longer than a character only pairs count."""
        asked = self.spans(self.query(query))
        paired = {at for term, start, end in asked if len(term) == 2 for at in range(start, end)}
        wanted = {term for term, start, _ in asked if len(term) > 1 or start not in paired}
        found: list[tuple[int, int]] = []
        for start, end in sorted((start, end) for term, start, end in self.spans(text) if term in wanted):
            if found and start <= found[-1][1]:
                found[-1] = found[-1][0], max(end, found[-1][1])
            else:
                found.append((start, end))
        return found

    def _terms(self, folded: str) -> Iterator[Term]:
        """Terms of a folded text, and where in that they stand."""
        for match in _tokens().finditer(folded):
            word, start, end = match[0], match.start(), match.end()
            if match.lastgroup == "run":
                for size in (1, 2):
                    yield from ((word[i : i + size], start + i, start + i + size) for i in range(len(word) - size + 1))
            elif match.lastgroup == "number":
                yield word.replace(",", ""), start, end
            elif match.lastgroup == "word" and not (self.stopwords and word in STOPWORDS):
                yield _stemmed(word) if self.stem and word.isascii() and word.isalpha() else word, start, end


def _is_name(word: str) -> bool:
    return len(word) > 1 and word.isupper()


def aligned(text: str, normalize: Callable[[str], str]) -> tuple[str, Sequence[int], Sequence[int]]:
    """A normalized text, and where in the original each of its characters begins and ends.

    Args:
        text: the original.
        normalize: may compose, fold and map what belongs to one character, and nothing across characters.
    """
    normal = normalize(text)
    if normal == text or (len(normal) == len(text) and text.isascii()):
        return normal, range(len(text)), range(1, len(text) + 1)
    parts, starts, ends = [], [], []
    for start, end in _characters(text):
        part = normalize(text[start:end])
        parts.append(part)
        starts += [start] * len(part)
        ends += [end] * len(part)
    return "".join(parts), starts, ends


def _characters(text: str) -> Iterator[tuple[int, int]]:
    """Where characters begin and end, each with the marks and the parts of syllables that join it."""
    start = 0
    for at in range(1, len(text)):
        if not _joins(text[at - 1], text[at]):
            yield start, at
            start = at
    if text:
        yield start, len(text)


def _joins(before: str, char: str) -> bool:
    if char < "\u0300":
        return False
    alone = unicodedata.normalize("NFKC", char)
    if unicodedata.combining(alone[0]) or _JAMO.match(alone):
        return True
    return unicodedata.normalize("NFKC", before + char) != unicodedata.normalize("NFKC", before) + alone


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


@cache
def _tokens() -> re.Pattern[str]:
    """Unspaced runs, numbers with their points and commas, possessives (which are no term), words with their marks."""
    marks = "".join(chr(c) for c in range(0x300, 0x3000) if unicodedata.category(chr(c)) in ("Mn", "Mc"))
    letter = rf"(?:[^\W_{UNSPACED}][{marks}]*)"
    number = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)+)(?!\w)"
    return re.compile(rf"(?P<run>[{UNSPACED}]+)|(?P<number>{number})|(?<=\w)['\u2019]s(?!\w)|(?P<word>{letter}+)")


@lru_cache(maxsize=1 << 18)
def _stemmed(word: str) -> str:
    try:
        import Stemmer
    except ImportError:
        raise RunError("searching needs PyStemmer: pip install 'espalier-lm[retrieval]'.") from None
    stem: str = Stemmer.Stemmer("porter", 0).stemWord(word)
    return stem
