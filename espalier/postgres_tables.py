"""Passages in a PostgreSQL server: their terms as rows, and their vectors where it has the extension pgvector.

The server is given plain terms, lengths and vectors; texts stay in the index.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from espalier.analysis import Analyzer
from espalier.contracts import Embedder, Hit
from espalier.errors import RunError
from espalier.postgres import Server
from espalier.searching import at_least_one

TEMPORARY = "pg_temp"  # the schema of one connection, gone when that ends
T = TypeVar("T")

_SCHEMA = re.compile(rf"{TEMPORARY}|espalier_[0-9a-f]{{16}}")
_TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.about (name text PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.passages (
    number bigint PRIMARY KEY, length integer NOT NULL, document text NOT NULL, start integer NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}.terms (term text NOT NULL, number bigint NOT NULL, tf integer NOT NULL);
CREATE INDEX IF NOT EXISTS terms_by_term ON {schema}.terms (term) INCLUDE (number, tf);
CREATE INDEX IF NOT EXISTS terms_by_number ON {schema}.terms (number)"""
_TERMS = """
WITH asked AS (SELECT * FROM unnest(%s::text[], %s::float8[]) AS asked (term, weight)),
collection AS (SELECT count(*)::float8 AS documents, avg(length)::float8 AS mean FROM {schema}.passages),
found AS (
    SELECT number, term, tf, weight, count(*) OVER (PARTITION BY term) AS df
    FROM {schema}.terms JOIN asked USING (term))
SELECT {wanted} FROM (
    SELECT number, term, weight * ln(1 + (documents - df + 0.5) / (df + 0.5))
        * tf / (tf + %s::float8 * (1 - %s::float8 + %s::float8 * length / mean)) AS share
    FROM found JOIN {schema}.passages USING (number) CROSS JOIN collection) AS shares """
_BEST = "GROUP BY number ORDER BY score DESC, number LIMIT %s"
_NEAREST = """
SELECT number, 1 - distance FROM (
    SELECT number, vector <=> %s::vector AS distance FROM {schema}.vectors ORDER BY distance LIMIT %s) AS near
ORDER BY distance, number"""

Found = list[tuple[int, float]]  # passages with their scores, best first


class Tables:
    """What one index keeps in a server, in a schema of its own.

    Args:
        server: where.
        schema: the name that the index remembers.
    """

    def __init__(self, server: Server, schema: str) -> None:
        if not _SCHEMA.fullmatch(schema):
            raise RunError(f"{schema!r} is not the name of an index in PostgreSQL; index the folder again.")
        self.server, self.schema = server, schema

    def create(self, dimension: int | None = None) -> None:
        """Make the tables that are missing; that of vectors needs the extension pgvector."""
        if self.schema != TEMPORARY:
            self.server.rows(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
        for statement in self._sql(_TABLES).split(";\n"):
            self.server.rows(statement)
        if dimension is not None:
            self.server.rows("CREATE EXTENSION IF NOT EXISTS vector")
            row = f"number bigint PRIMARY KEY, vector vector({dimension}) NOT NULL"
            self.server.rows(f"CREATE TABLE IF NOT EXISTS {self.schema}.vectors ({row})")

    def about(self) -> dict[str, str]:
        """What is known of it; nothing if it is not there."""
        there = self.server.rows("SELECT to_regclass(%s)::text", f"{self.schema}.about")[0][0]
        return dict(self.server.rows(self._sql("SELECT name, value FROM {schema}.about"))) if there else {}

    def set_about(self, about: Mapping[str, str]) -> None:
        """Remember what is known of it, in the place of what was."""
        self.server.rows(self._sql("DELETE FROM {schema}.about"))
        self.server.copy(f"{self.schema}.about", about.items())

    def numbers(self) -> set[int]:
        """The passages that it has."""
        return {number for (number,) in self.server.rows(self._sql("SELECT number FROM {schema}.passages"))}

    def forget(self, numbers: set[int]) -> None:
        """Delete passages."""
        there = self.server.rows("SELECT tablename FROM pg_tables WHERE schemaname = %s", self.schema)
        for (table,) in there if numbers else ():
            if table != "about":
                self.server.rows(f"DELETE FROM {self.schema}.{table} WHERE number = ANY(%s::bigint[])", list(numbers))

    def drop(self) -> None:
        """Delete everything."""
        self.server.rows(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")

    def add(self, passages: Sequence[tuple[int, str, int, Sequence[str]]]) -> None:
        """Write passages: number, document, where in that it starts, terms."""
        rows = [(number, len(terms), document, start) for number, document, start, terms in passages]
        counts = [(term, number, n) for number, _, _, terms in passages for term, n in Counter(terms).items()]
        self.server.copy(f"{self.schema}.passages", rows)
        self.server.copy(f"{self.schema}.terms", counts)

    def add_vectors(self, numbers: Sequence[int], vectors: npt.NDArray[np.float32]) -> None:
        """Write the vectors of passages."""
        # the others have no direction, and are never found
        usable = np.logical_and(np.isfinite(vectors).all(1), vectors.any(1))
        rows = zip(numbers, vectors, usable, strict=True)
        self.server.copy(f"{self.schema}.vectors", ((number, written(vector)) for number, vector, fine in rows if fine))

    def search(self, terms: Sequence[str], k: int, *, k1: float, b: float) -> Found:
        """BM25 of the passages that have one of these terms, the best k; a term given twice counts twice."""
        statement = self._sql(_TERMS + _BEST, wanted="number, sum(share) AS score")
        return self.server.rows(statement, *_asked(terms), k1, b, b, k)

    def shares(self, terms: Sequence[str], hit: Hit, *, k1: float, b: float) -> list[tuple[str, float]]:
        """What each term adds to the score of a passage, the largest first."""
        of = "WHERE number = (SELECT number FROM {schema}.passages WHERE document = %s AND start = %s LIMIT 1)"
        statement = self._sql(_TERMS + of + " ORDER BY share DESC, term", wanted="term, share")
        return self.server.rows(statement, *_asked(terms), k1, b, b, hit.document, hit.start)

    def nearest(self, vector: npt.NDArray[np.float32], k: int) -> Found:
        """The k passages whose vectors have the highest cosine with one."""
        near = "SELECT number, -distance FROM (SELECT number, vector <=> %s::vector AS distance FROM {schema}.vectors) "
        near = (
            "SELECT number, 1 - (vector <=> %s::vector) AS cosine FROM {schema}.vectors ORDER BY cosine DESC LIMIT %s"
        )
        return self.server.rows(self._sql(near), written(vector), k)

    def _sql(self, statement: str, **more: str) -> str:
        return statement.format(schema=self.schema, **more)


@dataclass(frozen=True)
class PostgresIndex:
    """A retriever: passages whose terms, or whose vectors if there is an embedder, lie in a server."""

    tables: Tables
    passage: Callable[[int], Hit]
    analyzer: Analyzer
    k1: float
    b: float
    embedder: Embedder | None = None

    def search(self, query: str, k: int) -> list[Hit]:
        """The best k passages; of equal ones the earlier first."""
        at_least_one(k)
        if self.embedder is not None:
            found = self.tables.nearest(self.embedder.embed([query], query=True)[0], k)
        else:
            found = self.tables.search(self._terms(query), k, k1=self.k1, b=self.b)
        return [replace(self.passage(number), score=score) for number, score in found]

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        """What each term of the query adds to a hit's score, the largest first; of vectors, their cosine."""
        if self.embedder is not None:
            return (("cosine", hit.score),)
        return tuple(self.tables.shares(self._terms(query), hit, k1=self.k1, b=self.b))

    def _terms(self, query: str) -> list[str]:
        return self.analyzer(self.analyzer.query(query))


def pieces(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Items, so many at a time."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def written(vector: npt.NDArray[np.float32]) -> str:
    """A vector as pgvector reads it, every bit of it."""
    return f"[{','.join(map(repr, vector.tolist()))}]"


def _asked(terms: Sequence[str]) -> tuple[list[str], list[float]]:
    counts = Counter(terms)
    return list(counts), [float(count) for count in counts.values()]
