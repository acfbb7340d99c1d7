"""An index of terms: a score for each term in each passage, searched with bm25s and kept as one blob of a store."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from espalier.analysis import Analyzer
from espalier.contracts import Hit
from espalier.errors import RecipeError, RunError
from espalier.knowledge.store import Passage, Store

BLOB = "terms"  # what a store calls the index of its terms


def searched(hit: Hit) -> str:
    """The text by which a document is found: its title belongs to it."""
    return f"{hit.title}\n{hit.text}" if hit.title else hit.text


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


class LexicalIndex:
    """A retriever: passages that have terms of the query, the highest sum of scores first.

    Args:
        scores: of every term.
        analyzer: makes a query terms, as it made the passages.
        passage: the passage of a row of the scores.
    """

    def __init__(self, scores: TermScores, analyzer: Analyzer, passage: Callable[[int], Hit]) -> None:
        self.scores, self.analyzer, self.passage = scores, analyzer, passage
        self._engine = engine()
        self._engine.nonoccurrence_array = None  # a term that a passage lacks adds nothing
        self._engine.scores = {
            "data": scores.values, "indices": scores.rows, "indptr": scores.starts, "num_docs": scores.passages,
        }  # fmt: skip

    def __len__(self) -> int:
        return self.scores.passages

    def search(self, query: str, k: int) -> list[Hit]:
        """The best k passages, or as many as have a term of the query; of equal ones the earlier first."""
        if k < 1:
            raise RecipeError(f"k is {k}; it must be at least 1.")
        asked = self.analyzer(self.analyzer.query(query))
        terms = [self.scores.terms[term] for term in asked if term in self.scores.terms]
        values = self._engine.get_scores_from_ids(terms)
        rows = np.flatnonzero(values > 0)
        if len(rows) > k:
            rows = rows[values[rows] >= np.partition(values[rows], -k)[-k]]
        rows = rows[np.argsort(-values[rows], kind="stable")][:k]
        return [replace(self.passage(int(row)), score=float(values[row])) for row in rows]

    @classmethod
    def open(cls, store: Store) -> LexicalIndex:
        """The one that a store keeps, with its passages; nothing is analyzed again.

        Raises:
            RunError: it is missing or older than the documents, or this version lacks its analyzer.
        """
        again = f"Index the folder again: espalier index {store.meta('folder') or 'FOLDER'} --out {store.path}"
        with store.snapshot():
            blob, generation = store.blob(BLOB), store.generation
        scores, about = TermScores.of_bytes(blob) if blob is not None else (None, {})
        if scores is None or about["generation"] != generation:
            raise RunError(
                f"{store.path} is not ready: indexing was stopped before the end, or goes on just now. {again}"
            )
        analyzer = Analyzer.of(about["analyzer"])
        if analyzer is None:
            raise RunError(f"{store.path} was made with the analyzer {about['analyzer']}, not known here. {again}")
        return cls(scores, analyzer, lambda row: as_hit(store.passage(about["numbers"][row])))


def known(store: Store) -> dict[str, Any]:
    """What a store knows of the index it keeps: options, analyzer, generation; nothing if it keeps none."""
    blob = store.blob(BLOB)
    return {} if blob is None else TermScores.of_bytes(blob)[1]


def as_hit(passage: Passage) -> Hit:
    """A passage as it is retrieved, without a score."""
    return Hit(passage.document, 0.0, passage.text, passage.title, passage.start)
