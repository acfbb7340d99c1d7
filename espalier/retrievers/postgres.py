"""BM25 (Robertson and Zaragoza, 2009), doi:10.1561/1500000019, or vectors, in a PostgreSQL server that many search."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from espalier.analysis import Analyzer
from espalier.catalogue import method
from espalier.contracts import Hit
from espalier.embedding import open_embedder
from espalier.errors import RecipeError, RunError
from espalier.knowledge.store import Store
from espalier.postgres import Server
from espalier.postgres_tables import TEMPORARY, PostgresIndex, Tables, pieces
from espalier.searching import Progress, again, as_hit, lacking, searched, stale

SCHEMA = "postgres"  # what a store calls the schema it has in the server
ROWS = 1_000  # passages written at once


@method(paper="doi:10.1561/1500000019")
@dataclass(frozen=True)
class Postgres:
    """Search in a PostgreSQL server by the terms that our analyzer makes, or by vectors with its extension pgvector.

    Inputs: an index, which keeps the texts; the environment variable ESPALIER_POSTGRES names the server.
    Relations: bm25 and dense give the same scores from the index alone; a server is for what is too large for one
    machine's memory or searched by many. Only passages that are new or gone are written.
    """

    by: Literal["terms", "vectors"] = "terms"  # what is searched
    embedder: str = ""  # whose vectors the server keeps beside the terms; none if empty
    k1: float = 0.9  # how soon repetition stops to count
    b: float = 0.4  # how much long passages are held back
    stem: bool = True  # English words lose their endings
    stopwords: bool = True  # the commonest English words are left out

    def __post_init__(self) -> None:
        if not (self.k1 >= 0 and 0 <= self.b <= 1):
            raise RecipeError(
                f"retrievers/postgres: k1 is {self.k1} and b is {self.b}; k1 is at least 0, b between 0 and 1."
            )

    def index(self, documents: Sequence[Hit]) -> PostgresIndex:
        """The documents (their scores do not matter) in tables that go with the connection."""
        tables = Tables(Server(), TEMPORARY)
        self._write(tables, enumerate(documents), lambda _: None)
        return self._opened(tables, documents.__getitem__, self.embedder)

    def keep(self, store: Store, progress: Progress) -> None:
        """Write the passages that the server lacks and delete those that are gone, all in one transaction."""
        if store.meta(SCHEMA) is None:
            store.set_meta(SCHEMA, f"espalier_{secrets.token_hex(8)}")
        total = len(store)
        with closing(Server()) as server:
            tables = Tables(server, str(store.meta(SCHEMA)))
            made = {"analyzer": self._analyzer.id, "embedder": self.embedder}
            wanted, about = {**made, "generation": str(store.generation)}, tables.about()
            if about == wanted:
                return
            with server.transaction():
                if not made.items() <= about.items():
                    tables.drop()
                passages = ((passage.number, as_hit(passage)) for passage in store.passages())
                self._write(tables, passages, lambda done: progress("writing to PostgreSQL", done, total))
                tables.set_about(wanted)

    def open(self, store: Store) -> PostgresIndex:
        """What the server keeps for a store."""
        schema = store.meta(SCHEMA)
        if schema is None:
            raise lacking(store, "postgres")
        tables = Tables(Server(), schema)
        about = tables.about()
        if about.get("generation") != str(store.generation):
            raise stale(store)
        if about["analyzer"] != self._analyzer.id:
            raise RunError(f"the server has terms of the analyzer {about['analyzer']}. {again(store)}")
        return self._opened(tables, lambda number: as_hit(store.passage(number)), about["embedder"])

    @property
    def _analyzer(self) -> Analyzer:
        return Analyzer(self.stem, self.stopwords)

    def _opened(self, tables: Tables, passage: Callable[[int], Hit], embedder: str) -> PostgresIndex:
        if self.by == "vectors" and not embedder:
            raise RunError("the server keeps no vectors. Index again with --retriever postgres --embedder NAME.")
        opened = open_embedder(embedder) if self.by == "vectors" else None
        return PostgresIndex(tables, passage, self._analyzer, self.k1, self.b, opened)

    def _write(self, tables: Tables, passages: Iterable[tuple[int, Hit]], progress: Callable[[int], None]) -> None:
        embedder = open_embedder(self.embedder) if self.embedder else None
        tables.create(None if embedder is None else embedder.embed(["a"]).shape[1])
        before, seen = tables.numbers(), set[int]()
        for part in pieces(passages, ROWS):
            new = [(number, hit, searched(hit)) for number, hit in part if number not in before]
            tables.add([(number, hit.document, hit.start, self._analyzer(text)) for number, hit, text in new])
            if embedder is not None and new:
                tables.add_vectors([number for number, _, _ in new], embedder.embed([text for _, _, text in new]))
            seen |= {number for number, _ in part}
            progress(len(seen))
        tables.forget(before - seen)
