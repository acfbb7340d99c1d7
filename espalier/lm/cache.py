"""Answers kept on disk: one SQLite file, keyed by the canonical request and the number of the sample."""

from __future__ import annotations

import hashlib
import json
import logging
import sqlite3
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from espalier.caching import cache_folder
from espalier.errors import RowError

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS answers "
    "(key TEXT NOT NULL, sample INTEGER NOT NULL, answer TEXT NOT NULL, UNIQUE (key, sample))"
)
MAX_BYTES = 1 << 30
_MEMORY_BYTES = 64 << 20  # at most, where the disk cannot be used

log = logging.getLogger(__name__)


def canonical(request: Any) -> str:
    """A request as JSON that is the same whenever the request is: neither the order of keys nor 1 or 1.0 matters.

    Raises:
        RowError: it holds something that JSON has not.
    """
    try:
        return json.dumps(_plain(request), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RowError(
            f"a prompt or an option cannot be sent as JSON ({error}); use text, numbers and lists."
        ) from None


def digest(request: Any) -> str:
    """The key of a request."""
    return hashlib.sha256(canonical(request).encode("ascii")).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("a key is not text")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Cache:
    """JSON values by key and sample; several threads and processes may use one file at once.

    Where the file cannot be written (a read-only or full disk, a file of another kind), what cannot be kept there is
    kept in memory, and one note says so.

    Args:
        path: the file; answers.sqlite in the cache folder by default.
        max_bytes: size of the file; the oldest answers give way.
        patience: seconds to wait for another process.
    """

    def __init__(self, path: Path | None = None, *, max_bytes: int = MAX_BYTES, patience: float = 30.0) -> None:
        self.path, self.max_bytes = path or cache_folder() / "answers.sqlite", max_bytes
        self._lock = threading.Lock()
        self._memory: dict[tuple[str, int], str] = {}
        self._memory_bytes = 0
        self._db: sqlite3.Connection | None = None
        self._writable = True
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=patience, isolation_level=None, check_same_thread=False)
            self._db.execute(SCHEMA)
            self._db.execute("SELECT key, sample, answer FROM answers LIMIT 1")
            with suppress(sqlite3.OperationalError):  # another process may be doing the same
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")  # whole after a power cut, perhaps without the latest
        except (OSError, sqlite3.Error) as problem:
            self._forsake(problem)

    def get(self, key: str, samples: Iterable[int]) -> dict[int, Any]:
        """The answers there are to a request, by the number of the sample."""
        with self._lock:
            found = {sample: self._read(key, sample) for sample in samples}
        return {sample: json.loads(text) for sample, text in found.items() if text is not None}

    def put(self, key: str, answers: Mapping[int, Any]) -> None:
        """Keep the answers to a request, all or none."""
        rows = [(key, sample, json.dumps(answer)) for sample, answer in answers.items()]
        with self._lock:
            if self._db is not None and self._writable:
                try:
                    self._write(self._db, rows)
                    return
                except sqlite3.Error as problem:
                    self._forsake(problem, reading=True)
            for _, sample, text in rows:
                self._remember((key, sample), text)

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, key: str, sample: int) -> str | None:
        if (key, sample) in self._memory or self._db is None:
            return self._memory.get((key, sample))
        try:
            row = self._db.execute("SELECT answer FROM answers WHERE key = ? AND sample = ?", (key, sample)).fetchone()
        except sqlite3.Error as problem:
            self._forsake(problem)
            return None
        return None if row is None else str(row[0])

    def _write(self, db: sqlite3.Connection, rows: list[tuple[str, int, str]]) -> None:
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany("INSERT OR REPLACE INTO answers (key, sample, answer) VALUES (?, ?, ?)", rows)
            while self._bytes(db) > self.max_bytes:
                [count] = db.execute("SELECT COUNT(*) FROM answers").fetchone()
                if not count:
                    break
                oldest = "SELECT rowid FROM answers ORDER BY rowid LIMIT ?"
                db.execute(f"DELETE FROM answers WHERE rowid IN ({oldest})", (-(-count // 10),))
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _bytes(self, db: sqlite3.Connection) -> int:
        """Bytes in use; the pages of deleted answers are used again."""
        pages, free, size = (
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _remember(self, name: tuple[str, int], text: str) -> None:
        self._memory_bytes += len(text) - len(self._memory.pop(name, ""))
        self._memory[name] = text
        while self._memory_bytes > min(self.max_bytes, _MEMORY_BYTES):
            self._memory_bytes -= len(self._memory.pop(next(iter(self._memory))))

    def _forsake(self, problem: Exception, *, reading: bool = False) -> None:
        """Write no more to the file, nor read it unless it may still be read; say so once."""
        if not reading:
            self.close()
        if self._writable:
            self._writable = False
            log.warning("%s cannot be used (%s): answers are kept in memory and lost at the end.", self.path, problem)
