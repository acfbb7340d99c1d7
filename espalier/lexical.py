"""An index of terms: a score for each term in each passage, searched with NumPy and kept as one blob of a store."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from espalier import catalogue
from espalier.analysis import Analyzer
from espalier.contracts import Hit
from espalier.errors import RowError, RunError
from espalier.knowledge.store import Store
from espalier.searching import Progress, again, as_hit, at_least_one, lacking, searched, stale

BLOB = "terms"  # what a store calls the index of terms that it always keeps


@dataclass(frozen=True)
class TermScores:
    """Scores by term: those of term t are values[starts[t]:starts[t + 1]], each of the passage at its place in rows."""

    terms: dict[str, int]
    values: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int32]
    starts: npt.NDArray[np.int64]  # [terms + 1]
    passages: int

    def to_bytes(self, about: Mapping[str, Any]) -> bytes:
        """Everything as one blob, with a table of what else should be known of it."""
        head = json.dumps({**about, "passages": self.passages, "terms": list(self.terms)}).encode()
        buffer = io.BytesIO()
        np.savez(buffer, head=np.frombuffer(head, np.uint8), values=self.values, rows=self.rows, starts=self.starts)
        return buffer.getvalue()

    @classmethod
    def of_bytes(cls, data: bytes) -> tuple[TermScores, dict[str, Any]]:
        """The opposite: the scores, and the table."""
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            about = json.loads(arrays["head"].tobytes())
            terms = {term: number for number, term in enumerate(about.pop("terms"))}
            return cls(terms, arrays["values"], arrays["rows"], arrays["starts"], about.pop("passages")), about

    def sums(self, weights: Mapping[int, float]) -> npt.NDArray[np.float32]:
        """The weighted sum over terms of their scores. [passages]"""
        sums = np.zeros(self.passages, np.float32)
        parts = [(slice(self.starts[term], self.starts[term + 1]), weight) for term, weight in weights.items()]
        if parts:
            values = [self.values[part] * np.float32(weight) for part, weight in parts]
            np.add.at(sums, np.concatenate([self.rows[part] for part, _ in parts]), np.concatenate(values))
        return sums

    def score(self, term: int, row: int) -> float:
        """The score of one term in one passage."""
        start, end = self.starts[term], self.starts[term + 1]
        at = start + int(np.searchsorted(self.rows[start:end], row))
        return float(self.values[at]) if at < end and self.rows[at] == row else 0.0


Weights = Mapping[int, float]  # by term
Weigh = Callable[[Weights, TermScores], Weights]


def counted(counts: Weights, scores: TermScores) -> Weights:
    """A term of a query counts as often as it stands in it."""
    return counts


def engine(**options: Any) -> Any:
    """bm25s' own index, empty.

    Raises:
        RunError: it is not installed.
    """
    try:
        import bm25s
    except ImportError:
        raise RunError("searching needs bm25s: pip install 'espalier-lm[retrieval]'.") from None
    return bm25s.BM25(**options)


def numbered(texts: Iterable[str], analyzer: Analyzer) -> tuple[dict[str, int], list[list[int]]]:
    """Every term with a number, and the numbers of each text's terms.

    Raises:
        RowError: there is not one term.
    """
    terms: dict[str, int] = {}
    ids = [[terms.setdefault(term, len(terms)) for term in analyzer(text)] for text in texts]
    if not terms:
        raise RowError(f"none of the {len(ids)} passages has a word to search for. Give text in words.")
    return terms, ids


class LexicalIndex:
    """A retriever: passages that have terms of the query, the highest sum of scores first.

    Args:
        scores: of every term.
        analyzer: makes a query terms, as it made the passages.
        passage: the passage of a row of the scores.
        weigh: how much each term of a query counts, given how often it stands in it.
    """

    def __init__(
        self, scores: TermScores, analyzer: Analyzer, passage: Callable[[int], Hit], weigh: Weigh = counted
    ) -> None:
        self.scores, self.analyzer, self.passage, self.weigh = scores, analyzer, passage, weigh

    def __len__(self) -> int:
        return self.scores.passages

    def search(self, query: str, k: int) -> list[Hit]:
        """The best k passages, or as many as have a term of the query; of equal ones the earlier first."""
        return self._best(self._weights(query), k)

    def search_terms(self, weights: Mapping[str, float], k: int) -> list[Hit]:
        """The same for terms as the analyzer makes them, each with its weight; unknown ones find nothing."""
        return self._best(self._known(weights), k)

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        """What each term of the query adds to a hit's score, as it stands in the query; the largest first."""
        asked = self.analyzer.query(query)
        written = {term: asked[start:end] for term, start, end in reversed(self.analyzer.spans(asked))}
        return tuple((written[term], share) for term, share in self._shares(self._weights(query), hit))

    def explain_terms(self, weights: Mapping[str, float], hit: Hit) -> tuple[tuple[str, float], ...]:
        """The same for terms with weights, as `search_terms` has them."""
        return tuple(self._shares(self._known(weights), hit))

    def _shares(self, weights: Weights, hit: Hit) -> list[tuple[str, float]]:
        names = list(self.scores.terms)
        row = self._row(hit, self.scores.sums(weights))
        shares = [(names[term], weight * self.scores.score(term, row)) for term, weight in weights.items()]
        return sorted((share for share in shares if share[1]), key=lambda share: -share[1])

    def _weights(self, query: str) -> Weights:
        asked = Counter(self.analyzer(self.analyzer.query(query)))
        return self.weigh(self._known(asked), self.scores)

    def _known(self, weights: Mapping[str, float]) -> dict[int, float]:
        return {self.scores.terms[term]: weight for term, weight in weights.items() if term in self.scores.terms}

    def _best(self, weights: Weights, k: int) -> list[Hit]:
        at_least_one(k)
        values = self.scores.sums(weights)
        rows = np.flatnonzero(values > 0)
        if len(rows) > k:
            rows = rows[values[rows] >= np.partition(values[rows], -k)[-k]]
        rows = rows[np.argsort(-values[rows], kind="stable")][:k]
        return [replace(self.passage(int(row)), score=float(values[row])) for row in rows]

    def _row(self, hit: Hit, sums: npt.NDArray[np.float32]) -> int:
        """The row of a hit, looked for among those with its score first; -1 if no term of the query is in it."""
        rows = np.flatnonzero(sums)
        for row in rows[np.argsort(np.abs(sums[rows] - hit.score), kind="stable")]:
            other = self.passage(int(row))
            if (other.document, other.start, other.text) == (hit.document, hit.start, hit.text):
                return int(row)
        return -1

    @classmethod
    def open(cls, store: Store, blob: str = BLOB, weigh: Weigh = counted) -> LexicalIndex:
        """The one that a store keeps, with its passages; nothing is analyzed again.

        Raises:
            RunError: it is missing or older than the documents, or this version lacks its analyzer.
        """
        with store.snapshot():
            data, generation = store.blob(blob), store.generation
        if data is None:
            raise stale(store) if blob == BLOB else lacking(store, blob)
        scores, about = TermScores.of_bytes(data)
        if about["generation"] != generation:
            raise stale(store)
        analyzer = Analyzer.of(about["analyzer"])
        if analyzer is None:
            made = f"{store.path} was made with the analyzer {about['analyzer']}, not known here."
            raise RunError(f"{made} {again(store)}")
        return cls(scores, analyzer, lambda row: as_hit(store.passage(about["numbers"][row])), weigh)


class Lexical:
    """Base of the retrievers that score terms; each says how, and under which name a store keeps its scores."""

    blob: ClassVar[str]
    stem: bool
    stopwords: bool

    def scores(self, texts: Iterable[str]) -> TermScores:
        """The score of every term in every text."""
        raise NotImplementedError

    def weigh(self, counts: Weights, scores: TermScores) -> Weights:
        """How much each term of a query counts, given how often it stands in it."""
        return counted(counts, scores)

    @property
    def analyzer(self) -> Analyzer:
        """What makes text terms."""
        return Analyzer(self.stem, self.stopwords)

    def index(self, documents: Sequence[Hit]) -> LexicalIndex:
        """The documents (their scores do not matter), ready to be searched."""
        scores = self.scores(map(searched, documents))
        return LexicalIndex(scores, self.analyzer, documents.__getitem__, self.weigh)

    def keep(self, store: Store, progress: Progress) -> None:
        """Score every term of every passage and keep the scores, unless those of this state are kept."""
        wanted, kept = self._about(store), known(store, self.blob)
        if {name: kept.get(name) for name in wanted} == wanted:
            return
        total, numbers = len(store), list[int]()

        def texts() -> Iterator[str]:
            for passage in store.passages():
                numbers.append(passage.number)
                progress("scoring words", len(numbers), total)
                yield searched(as_hit(passage))

        scores = self.scores(texts())
        store.put_blob(self.blob, scores.to_bytes({**wanted, "numbers": numbers}))

    def open(self, store: Store) -> LexicalIndex:
        """What the store keeps; for other options than that was made with, all is scored again, in memory."""
        if self == type(self)() or known(store, self.blob).get("options") in (None, catalogue.options(self)):
            return LexicalIndex.open(store, self.blob, self.weigh)
        return self.index([as_hit(passage) for passage in store.passages()])

    def _about(self, store: Store) -> dict[str, Any]:
        """What decides the scores: if this has not changed, they have not."""
        return {"options": catalogue.options(self), "analyzer": self.analyzer.id, "generation": store.generation}


def known(store: Store, blob: str = BLOB) -> dict[str, Any]:
    """What a store knows of scores that it keeps: options, analyzer, generation; nothing if it keeps none."""
    if (data := store.blob(blob)) is None:
        return {}
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:  # which reads the head alone
        about = json.loads(arrays["head"].tobytes())
    return {name: value for name, value in about.items() if name not in ("terms", "passages")}
