"""One SQLite file and its transactions; what can go wrong with it is said in one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from espalier.errors import RunError

_PATIENCE = 30  # seconds that a reader waits for a commit, and a commit for readers
_WRITERS_PATIENCE = 1  # seconds that a writer waits for another
_SENTENCES = {  # by the beginning of SQLite's name for the error
    "SQLITE_BUSY": "another process is using {path}; wait until it has finished and try again.",
    "SQLITE_FULL": "the disk is full: {path} cannot be written. Free some space and run the command again.",
    "SQLITE_TOOBIG": "{path} cannot take so much in one piece; make several smaller indexes.",
    "SQLITE_NOTADB": "{path} is not an index of Espalier; give another file.",
    "SQLITE_CORRUPT": "{path} is damaged; delete it and build it again with `espalier index`.",
    "SQLITE_READONLY": "{path} cannot be written: the file or its folder is read-only.",
    "SQLITE_CANTOPEN": "{path} cannot be opened; check that its folder exists and may be used.",
    "SQLITE_IOERR": "{path} cannot be read or written ({problem}); check the disk.",
}


class Database:
    """A connection to a file with a rollback journal: a killed process leaves it as it was after the last commit."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        self._writing = False
        uri = f"{path.resolve().as_uri()}?mode={'rwc' if create else 'rw'}"
        with self._said():
            self._db = sqlite3.connect(uri, uri=True, timeout=_PATIENCE, isolation_level=None)
            self._run("PRAGMA cache_spill = OFF")  # else a large transaction locks readers out before its commit

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written together or not at all; a transaction inside another is part of it.

        Raises:
            RunError: another process is writing.
        """
        if self._writing:
            yield
            return
        self._begin()
        self._writing = True
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._run("ROLLBACK")
            raise
        finally:
            self._writing = False

    def checkpoint(self) -> None:
        """Commit what was written so far inside a transaction, which goes on."""
        self._run("COMMIT")
        self._begin()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside is of one state; keep it short, since a writer waits for it."""
        if self._db.in_transaction:
            yield
            return
        self._run("BEGIN")
        try:
            yield
        finally:
            self._run("ROLLBACK")

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> None:
        self._run(f"PRAGMA busy_timeout = {_WRITERS_PATIENCE * 1000}")
        try:
            self._run("BEGIN IMMEDIATE")
        finally:
            self._run(f"PRAGMA busy_timeout = {_PATIENCE * 1000}")

    def _rows(self, statement: str, *values: Any) -> Iterator[Any]:
        with self._said(), closing(self._db.execute(statement, values)) as cursor:
            yield from cursor

    def _value(self, statement: str, *values: Any) -> Any:
        """The first column of the first row; None if there is no row."""
        found = list(self._rows(statement, *values))
        return found[0][0] if found else None

    def _run(self, statement: str, *values: Any) -> None:
        list(self._rows(statement, *values))

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as problem:
            name = getattr(problem, "sqlite_errorname", None) or ""
            for start, sentence in _SENTENCES.items():
                if name.startswith(start):
                    raise RunError(sentence.format(path=self.path, problem=problem)) from problem
            raise
