"""A connection to PostgreSQL; what can go wrong with it is said in one sentence.

Which server is said by the environment variable ESPALIER_POSTGRES, so that no password is written anywhere.
"""

from __future__ import annotations

import io
import os
import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import RLock
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from weakref import finalize

from espalier.errors import RecipeError, RunError

VARIABLE = "ESPALIER_POSTGRES"
FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
SECONDS = 10.0  # to reach the server

_MODES = {"disable": False, "allow": None, "prefer": None, "require": True, "verify-full": None}  # as pg8000 has them
_ESCAPED = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


class Server:
    """A connection, which several threads may use.

    Raises:
        RecipeError: the variable holds no address.
        RunError: the driver is not installed, or the server does not answer or refuses.
    """

    def __init__(self, address: str | None = None) -> None:
        options, self.name = _options(address if address is not None else os.environ.get(VARIABLE, ""))
        try:
            from pg8000 import dbapi
        except ImportError:
            raise RunError("searching in PostgreSQL needs pg8000: pip install 'espalier-lm[postgres]'.") from None
        self._errors, self._lock = dbapi, RLock()
        with self._said():
            self._connection = dbapi.connect(timeout=SECONDS, application_name="espalier", **options)
            self._connection.autocommit = True
            self._connection._usock.settimeout(None)
        self._end = finalize(self, _hang_up, self._connection, dbapi.Error)

    def rows(self, statement: str, *values: Any, stream: io.StringIO | None = None) -> list[Any]:
        """What a statement gives."""
        with self._lock, self._said():
            cursor = self._connection.cursor()
            cursor.execute(statement, values, stream=stream)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def copy(self, table: str, rows: Iterable[Sequence[object]]) -> None:
        """Write rows."""
        lines = io.StringIO("".join("\t".join(str(value).translate(_ESCAPED) for value in row) + "\n" for row in rows))
        self.rows(f"COPY {table} FROM STDIN", stream=lines)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written together or not at all."""
        with self._lock:
            self.rows("BEGIN")
            try:
                yield
            except BaseException:
                with suppress(RunError):  # a server that is gone takes it back by itself
                    self.rows("ROLLBACK")
                raise
            self.rows("COMMIT")

    def close(self) -> None:
        self._end()

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except self._errors.DatabaseError as problem:
            told = problem.args[0] if problem.args else ""
            told = told.get("M", told) if isinstance(told, dict) else told
            raise RunError(f"PostgreSQL at {self.name} refuses: {told}.") from problem
        except (self._errors.Error, OSError) as problem:
            raise RunError(
                f"PostgreSQL at {self.name} does not answer: {problem}. Check that it runs, and {VARIABLE}."
            ) from problem


def _hang_up(connection: Any, error: type[Exception]) -> None:
    with suppress(error, OSError):  # a server that is gone need not be told
        connection.close()


def _options(address: str) -> tuple[dict[str, Any], str]:
    """What the driver asks for, and what errors call the server."""
    try:
        parts = urlsplit(address)
        port = parts.port or 5432
    except ValueError:  # a port that is no number, or an address in brackets that is none
        parts, port = urlsplit(""), 0
    query = dict(parse_qsl(parts.query))
    mode = query.get("sslmode", "prefer")
    if parts.scheme not in ("postgresql", "postgres") or not query.keys() <= {"host", "sslmode"} or mode not in _MODES:
        given = "is not set" if not address else "holds another kind of address"
        raise RecipeError(f"the environment variable {VARIABLE} {given}; set it to {FORM}.")
    host = query.get("host") or parts.hostname or "localhost"
    options: dict[str, Any] = {
        "user": unquote(parts.username or os.environ.get("USER", "postgres")),
        "password": unquote(parts.password) if parts.password else None,
        "database": unquote(parts.path.strip("/")) or None,
        "ssl_context": ssl.create_default_context() if mode == "verify-full" else _MODES[mode],
    }
    if host.startswith("/"):
        return options | {"unix_sock": f"{host}/.s.PGSQL.{port}"}, host
    return options | {"host": host, "port": port}, f"{host}:{port}"
