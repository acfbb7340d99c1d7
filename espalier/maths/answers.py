"""A short answer against the answers a question accepts: SQuAD's exact match and F1, and their kin in other languages.

An answer counts as the best of its comparisons with each accepted answer (Rajpurkar et al., 2016, arXiv:1606.05250).
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

from espalier.maths.scripts import language, words

_QUOTES = re.compile("['\"<>()\u300a\u300b\u3008\u3009\u2018\u2019]")  # what KorQuAD's script makes spaces
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalized(text: str, lang: str) -> str:
    """A text as answers are compared, after Unicode's NFKC.

    en, id: SQuAD's script (Rajpurkar et al., 2016): lower case, no punctuation, no English articles, single spaces.
        XQuAD and TyDi QA (Clark et al., 2020), which has Indonesian, apply it to every language.
    ko: KorQuAD's (Lim et al., 2019): quotes and brackets become spaces, then the same without articles.
    zh, ja: CMRC's (Cui et al., 2019): lower case, no punctuation; nor spaces, which its script keeps inside.

    Punctuation is Unicode's and ASCII's; the two older scripts know only ASCII's.
    """
    text = unicodedata.normalize("NFKC", text).lower()
    text = _QUOTES.sub(" ", text) if lang == "ko" else text
    text = "".join(c for c in text if c not in string.punctuation and not unicodedata.category(c).startswith("P"))
    text = _ARTICLES.sub(" ", text) if lang in ("en", "id") else text
    return ("" if lang in ("zh", "ja") else " ").join(text.split())


def pieces(text: str, lang: str) -> list[str]:
    """What F1 counts: words (en), characters (ko), or characters and foreign words whole (zh, ja)."""
    if lang in ("zh", "ja"):
        return words(text.lower())
    found = normalized(text, lang).split()
    return list("".join(found)) if lang == "ko" else found


def exact_match(answer: str, references: Sequence[str], lang: str | None = None) -> float:
    """1 if the answer equals any reference, both normalized; the language is the first reference's unless given."""
    lang = lang or language(references[0])
    return float(normalized(answer, lang) in {normalized(reference, lang) for reference in references})


def f1(answer: str, references: Sequence[str], lang: str | None = None) -> float:
    """The best F1 of the answer's pieces with any reference's, as multisets.

    For Chinese this is MLQA's measure (Lewis et al., 2020); CMRC's own script takes the longest common substring
    instead of the common multiset, and is never higher.
    """
    lang = lang or language(references[0])
    return max(_f1(pieces(answer, lang), pieces(reference, lang)) for reference in references)


def _f1(answer: list[str], reference: list[str]) -> float:
    if not answer or not reference:
        return float(answer == reference)
    common = (Counter(answer) & Counter(reference)).total()
    return 2 * common / (len(answer) + len(reference))
