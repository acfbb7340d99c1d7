"""TF-IDF in the vector space model (Salton and Buckley, 1988), doi:10.1016/0306-4573(88)90021-0."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from espalier.catalogue import method
from espalier.lexical import Lexical, TermScores, Weights, numbered


def tf_idf_weight(tf: float, df: float, *, documents: int) -> float:
    """(1 + ln tf) * (1 + ln((1 + documents) / (1 + df))), not yet divided by the length of its vector; 0 for tf = 0.

    Args:
        tf: how often the term stands in the text, a document or a query.
        df: documents that have the term.
        documents: how many there are; one more that has every term keeps the logarithm finite.
    """
    return (1 + math.log(tf)) * (1 + math.log((1 + documents) / (1 + df))) if tf else 0.0


@method(paper="doi:10.1016/0306-4573(88)90021-0")
@dataclass(frozen=True)
class TfIdf(Lexical):
    """Rank documents by the cosine between their terms and the query's, each weighted by log frequency and rarity.

    Inputs: documents with text and perhaps a title, which is searched as part of the text.
    Relations: BM25 saturates repetition and holds length back by options; here the cosine divides by it.
    Departs from the paper: idf is smoothed as in scikit-learn's TfidfVectorizer(sublinear_tf=True), and terms of the
    query that no document has are left out.
    """

    blob: ClassVar[str] = "tf_idf"

    stem: bool = True  # English words lose their endings
    stopwords: bool = True  # the commonest English words are left out

    def scores(self, texts: Iterable[str]) -> TermScores:
        """The weight of every term in every text, the vector of each text of length 1.

        Raises:
            RowError: there is not one term.
        """
        terms, ids = numbered(texts, self.analyzer)
        lengths = np.array([len(text) for text in ids])
        flat = np.fromiter((term for text in ids for term in text), np.int64, lengths.sum())
        rows = np.repeat(np.arange(len(ids)), lengths)
        pairs, tf = np.unique(flat * len(ids) + rows, return_counts=True)  # sorted by term, then by text
        term, row = np.divmod(pairs, len(ids))
        df = np.bincount(term, minlength=len(terms))
        weights = (1 + np.log(tf)) * (1 + np.log((1 + len(ids)) / (1 + df)))[term]
        weights /= np.sqrt(np.bincount(row, weights**2, minlength=len(ids)))[row]
        starts = np.concatenate([[0], np.cumsum(df)])
        return TermScores(terms, weights.astype(np.float32), row.astype(np.int32), starts, len(ids))

    def weigh(self, counts: Weights, scores: TermScores) -> Weights:
        """A query's terms weighted the same way, its vector of length 1."""
        df = {term: scores.starts[term + 1] - scores.starts[term] for term in counts}
        weights = {t: tf_idf_weight(n, df[t], documents=scores.passages) for t, n in counts.items()}
        length = math.hypot(*weights.values())
        return {term: weight / length for term, weight in weights.items()}
