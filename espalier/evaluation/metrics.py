"""What is measured, as formulas over texts and log-probabilities: one row each, never reduced."""

from __future__ import annotations

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from espalier.maths.scripts import language, script, words

Array = npt.NDArray[np.float64]
TIE = 1e-4  # nats: sums of float32 log-probabilities that are closer than this are equal
TIE_PER_TOKEN = 1e-6  # and their means
_QUOTES = re.compile("['\"<>()\u300a\u300b\u3008\u3009\u2018\u2019]")  # what KorQuAD's script makes spaces
_ARTICLES = re.compile(r"\b(a|an|the)\b")


def normalized(text: str, lang: str) -> str:
    """A text as answers are compared, after Unicode's NFKC.

    en: SQuAD's script (Rajpurkar et al., 2016): lower case, no punctuation, no articles, single spaces.
    ko: KorQuAD's (Lim et al., 2019): quotes and brackets become spaces, then the same without articles.
    zh, ja: CMRC's (Cui et al., 2019): lower case, neither punctuation nor spaces.

    Punctuation is Unicode's and ASCII's; the two older scripts know only ASCII's.
    """
    text = unicodedata.normalize("NFKC", text).lower()
    text = _QUOTES.sub(" ", text) if lang == "ko" else text
    text = "".join(c for c in text if c not in string.punctuation and not unicodedata.category(c).startswith("P"))
    text = _ARTICLES.sub(" ", text) if lang == "en" else text
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


def perplexity(nats_per_token: Array) -> Array:
    """exp(-log p / tokens), the end token included; comparable only between models of one tokenizer."""
    return np.exp(nats_per_token)


def bits(nats: Array) -> Array:
    """-log2 p from -log p; per UTF-8 byte of the text it is comparable between tokenizers."""
    return nats / math.log(2)


def preferred(chosen: float, rejected: float, *, tie: float = TIE) -> float:
    """1 if the chosen completion scores higher, 0 if lower, 1/2 if the two are equal up to rounding."""
    return 0.5 if abs(chosen - rejected) <= tie else float(chosen > rejected)


def picked(scores: Sequence[float], answer: int, *, tie: float = TIE) -> float:
    """1 if the answer scores highest among the options; an equal share if several do, up to rounding."""
    best = [i for i, score in enumerate(scores) if score >= max(scores) - tie]
    return (answer in best) / len(best)


def repetition(text: str, n: int = 4) -> float | None:
    """seq-rep-n (Welleck et al., 2020): 1 - different n-grams / n-grams, of words; 1 minus the text's distinct-n.

    None for a text of fewer than n words.
    """
    found = words(text.lower())
    grams = [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else None


def same_script(question: str, answer: str) -> float | None:
    """1 if the answer is in the question's writing system, 0 if in another, None if either has no letters."""
    asked, answered = script(question), script(answer)
    return float(asked == answered) if asked and answered else None
