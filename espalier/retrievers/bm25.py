"""BM25 (Robertson and Zaragoza, 2009), doi:10.1561/1500000019; its variants as Kamphuis et al. (2020) write them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from espalier.catalogue import method
from espalier.errors import RecipeError
from espalier.lexical import BLOB, Lexical, TermScores, engine, numbered

DELTA = {"bm25l": 0.5, "bm25+": 1.0}  # Lv and Zhai, 2011


def bm25_score(
    tf: float, df: float, length: float, *, mean: float, documents: int, k1: float, b: float, variant: str
) -> float:
    """What one term of a query adds to a document's score; a term of the query that stands in it twice adds twice.

        norm = 1 - b + b * length / mean,   c = tf / norm,   N = documents

        lucene      ln(1 + (N - df + 0.5) / (df + 0.5)) * tf / (tf + k1 * norm)
        robertson   max(0, ln((N - df + 0.5) / (df + 0.5))) * tf / (tf + k1 * norm)
        atire       ln(N / df) * (k1 + 1) * tf / (tf + k1 * norm)
        bm25l       ln((N + 1) / (df + 0.5)) * (k1 + 1) * (c + 0.5) / (k1 + c + 0.5)
        bm25+       ln((N + 1) / df) * ((k1 + 1) * tf / (tf + k1 * norm) + 1)

    Args:
        tf: how often the term stands in the document; where it does not, it adds nothing, in any variant.
        df: documents that have the term.
        length: terms of the document.
        mean: terms of a document on average.
        documents: how many there are.
        k1: how fast repetition stops to count; 0.9 to 2 is usual.
        b: how much long documents are held back, 0 to 1.
        variant: one of these five.
    """
    if not tf:
        return 0.0
    norm = 1 - b + b * length / mean
    odds = (documents - df + 0.5) / (df + 0.5)
    saturated = tf / (tf + k1 * norm)
    if variant == "lucene":
        return math.log1p(odds) * saturated
    if variant == "robertson":
        return max(0.0, math.log(odds)) * saturated
    if variant == "atire":
        return math.log(documents / df) * (k1 + 1) * saturated
    if variant == "bm25l":
        raised = tf / norm + DELTA[variant]
        return math.log((documents + 1) / (df + 0.5)) * (k1 + 1) * raised / (k1 + raised)
    return math.log((documents + 1) / df) * ((k1 + 1) * saturated + DELTA[variant])


@method(paper="doi:10.1561/1500000019")
@dataclass(frozen=True)
class BM25(Lexical):
    """Rank documents by the query's terms they have, rare terms first, repetition and length held back.

    Inputs: documents with text and perhaps a title, which is searched as part of the text.
    Departs from the paper: the lucene variant leaves out the factor k1 + 1, which changes no ranking.
    """

    blob: ClassVar[str] = BLOB

    k1: float = 0.9  # Anserini's; 1.2 with b = 0.75 is Lucene's
    b: float = 0.4
    variant: Literal["lucene", "robertson", "atire", "bm25l", "bm25+"] = "lucene"
    stem: bool = True  # English words lose their endings
    stopwords: bool = True  # the commonest English words are left out

    def __post_init__(self) -> None:
        if not (0 <= self.k1 < math.inf and 0 <= self.b <= 1):
            raise RecipeError(
                f"retrievers/bm25: k1 is {self.k1} and b is {self.b}; k1 is at least 0, b between 0 and 1."
            )

    def scores(self, texts: Iterable[str]) -> TermScores:
        """The score of every term in every text.

        Raises:
            RowError: there is not one term.
            RunError: bm25s is not installed.
        """
        terms, ids = numbered(texts, self.analyzer)
        built = engine(k1=self.k1, b=self.b, method=self.variant, delta=DELTA.get(self.variant, 0.0))
        built.index((ids, terms), create_empty_token=False, show_progress=False)
        values, starts = built.scores["data"], built.scores["indptr"]
        if built.nonoccurrence_array is not None:
            # bm25s scores documents without the term too, and keeps the rest relative to that; the papers do not
            values = values + built.nonoccurrence_array.repeat(starts[1:] - starts[:-1])
        return TermScores(terms, values, built.scores["indices"], starts, len(ids))
