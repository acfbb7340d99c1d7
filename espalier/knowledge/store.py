"""One SQLite file that holds documents, their passages with exact offsets, and what is derived from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from espalier.errors import RunError
from espalier.knowledge.chunks import Chunk
from espalier.knowledge.database import Database
from espalier.knowledge.documents import Document
from espalier.knowledge.places import Places, place

FORMAT = 2
_OURS = 0x45535041  # "ESPA" in the file's header
_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, digest TEXT NOT NULL, places TEXT NOT NULL,
    text TEXT NOT NULL);
CREATE INDEX documents_of ON documents (name, digest);
CREATE TABLE shown (name TEXT PRIMARY KEY, document INTEGER NOT NULL UNIQUE);
CREATE TABLE passages (
    number INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL, title TEXT NOT NULL,
    start INTEGER NOT NULL, end INTEGER NOT NULL);
CREATE INDEX passages_of ON passages (document);
CREATE TABLE errors (name TEXT PRIMARY KEY, sentence TEXT NOT NULL);
CREATE TABLE blobs (name TEXT PRIMARY KEY, data BLOB NOT NULL);
PRAGMA application_id = {_OURS};
PRAGMA user_version = {FORMAT};
"""


@dataclass(frozen=True)
class Passage:
    """A stretch of a document, `text == store.text(document)[start:end]`, under a number that is never given twice.

    `place` is where that is for a reader, "page 3"; empty where the document has no such parts.
    """

    number: int
    document: str
    title: str
    start: int
    end: int
    text: str
    place: str = ""


class Store(Database):
    """The passages of a folder of documents; `Store.create` to write it, `Store.open` to read it.

    Every change is a transaction of its own, or part of one: `with store.transaction(): ...`. One process writes at a
    time; the others get a RunError. What reads the passages of one search asks inside `with store.snapshot(): ...`.

    A document that is staged is kept and not seen; `publish` shows all of a new state at once. So what was read can be
    committed now and then, and whoever searches sees the old state or the new one.
    """

    @classmethod
    def create(cls, path: Path, **meta: str) -> Store:
        """The index at a path, made if there is none; `meta` that it has already stays as it is.

        Raises:
            RunError: something else is there, or the index cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise RunError(f"the folder {path.parent} cannot be made: {problem.strerror}.") from problem
        if path.is_dir():
            raise RunError(f"{path} is a folder; give the name of a file for the index.")
        store = cls(path, create=True)
        try:
            with store.transaction():
                if not store._value("SELECT count(*) FROM sqlite_master") and not store._value("PRAGMA application_id"):
                    for statement in _SCHEMA.strip().split(";\n"):
                        store._run(statement)
                store._check()
                for name, value in meta.items():
                    store._run("INSERT OR IGNORE INTO meta VALUES (?, ?)", name, value)
        except BaseException:
            store.close()
            raise
        return store

    @classmethod
    def open(cls, path: Path | str) -> Store:
        """The index at a path.

        Raises:
            RunError: there is none, it is something else, or another version of Espalier made it.
        """
        path = Path(path)
        if not path.exists():
            raise RunError(f"there is no index {path}; build it with `espalier index FOLDER --out {path}`.")
        if path.is_dir():
            raise RunError(f"{path} is a folder; name the file that `espalier index` wrote.")
        store = cls(path)
        try:
            store._check()
        except BaseException:
            store.close()
            raise
        return store

    def _check(self) -> None:
        if self._value("PRAGMA application_id") != _OURS:
            raise RunError(f"{self.path} is not an index of Espalier; give another file.")
        if (made := self._value("PRAGMA user_version")) != FORMAT:
            raise RunError(
                f"{self.path} has format {made} of another version of Espalier, this one reads {FORMAT}; "
                "delete it and build it again with `espalier index`."
            )

    # What describes the index.

    def meta(self, name: str) -> str | None:
        """A fact about the index, such as the folder it was made of."""
        value = self._value("SELECT value FROM meta WHERE name = ?", name)
        return None if value is None else str(value)

    def set_meta(self, name: str, value: str) -> None:
        with self.transaction():
            self._run("INSERT OR REPLACE INTO meta VALUES (?, ?)", name, value)

    @property
    def generation(self) -> int:
        """A number that grows with every change of the passages: what was derived at another one is stale."""
        return int(self.meta("generation") or 0)

    def errors(self) -> dict[str, str]:
        """The files that could not be read, each with the sentence that says why."""
        return dict(self._rows("SELECT name, sentence FROM errors ORDER BY name"))

    def set_errors(self, errors: Mapping[str, str]) -> None:
        """Replace the files that could not be read."""
        with self.transaction():
            self._run("DELETE FROM errors")
            for name, sentence in errors.items():
                self._run("INSERT INTO errors VALUES (?, ?)", name, sentence)

    def blob(self, name: str) -> bytes | None:
        """Derived data, such as an index for search."""
        value = self._value("SELECT data FROM blobs WHERE name = ?", name)
        return None if value is None else bytes(value)

    def put_blob(self, name: str, data: bytes) -> None:
        with self.transaction():
            self._run("INSERT OR REPLACE INTO blobs VALUES (?, ?)", name, data)

    # Documents and passages.

    def __len__(self) -> int:
        return int(self._value("SELECT count(*) FROM shown JOIN passages USING (document)"))

    def documents(self) -> list[str]:
        """The names of all documents, sorted."""
        return [name for (name,) in self._rows("SELECT name FROM shown ORDER BY name")]

    def digests(self) -> dict[str, str]:
        """What was given as the digest of each document, by its name."""
        return dict(self._rows("SELECT shown.name, digest FROM shown JOIN documents ON id = document"))

    def text(self, name: str) -> str:
        """The whole text of a document, as offsets refer to it."""
        return self._document(name)[0]

    def place(self, name: str, start: int, end: int) -> str:
        """Where a stretch of a document stands for a reader: "page 3"; "" where it has no such parts."""
        return place(self._document(name)[1], start, end)

    def _document(self, name: str) -> tuple[str, Places]:
        one = "SELECT text, places FROM shown JOIN documents ON id = document WHERE shown.name = ?"
        for text, places in self._rows(one, name):
            return text, json.loads(places)
        raise RunError(f"there is no document {name!r} in {self.path}; it may have been removed since.")

    def passages(self) -> Iterator[Passage]:
        """All passages in the order of their numbers, as they were when the first was asked for."""
        each = """SELECT documents.name, text, places, (
            SELECT json_group_array(json_array(number, title, start, end))
            FROM (SELECT * FROM passages WHERE document = id ORDER BY number))
            FROM shown JOIN documents ON id = document ORDER BY id"""
        for document, text, at, parts in self._rows(each):
            places = json.loads(at)
            for number, title, start, end in json.loads(parts):
                yield Passage(number, document, title, start, end, text[start:end], place(places, start, end))

    def passage(self, number: int) -> Passage:
        """The passage of a number."""
        of = "FROM passages JOIN documents ON id = document WHERE number = ?"
        one = f"SELECT name, passages.title, start, end, places, substr(text, start + 1, end - start) {of}"
        for name, title, start, end, places, text in self._rows(one, number):
            if len(text) < end - start:  # SQLite's substr ends at a NUL
                text = str(self._value(f"SELECT text {of}", number))[start:end]
            return Passage(number, name, title, start, end, text, place(json.loads(places), start, end))
        raise RunError(f"there is no passage {number} in {self.path}; the index has changed since it was searched.")

    # Changes.

    def stage(self, document: Document, digest: str, chunks: Sequence[Chunk]) -> None:
        """Keep a document and its passages for `publish`."""
        with self.transaction():
            add = "INSERT INTO documents (name, digest, places, text) VALUES (?, ?, ?, ?) RETURNING id"
            made = self._value(add, document.name, digest, json.dumps(document.places), document.text)
            put = "INSERT INTO passages (document, title, start, end) VALUES (?, ?, ?, ?)"
            for chunk in chunks:
                self._run(put, made, chunk.title, chunk.start, chunk.end)

    def is_staged(self, name: str, digest: str) -> bool:
        """Whether a document waits for `publish`, or is shown already."""
        return self._value("SELECT 1 FROM documents WHERE name = ? AND digest = ?", name, digest) is not None

    def publish(self, wanted: Mapping[str, str]) -> None:
        """Show these documents, given by name and digest and staged before, and forget all others.

        Raises:
            RunError: one is not here any more.
        """
        with self.transaction():
            known = self.digests()
            for name in known.keys() - wanted.keys():
                self._run("DELETE FROM shown WHERE name = ?", name)
            for name, digest in wanted.items():
                if known.get(name) != digest:
                    found = self._value("SELECT max(id) FROM documents WHERE name = ? AND digest = ?", name, digest)
                    if found is None:
                        raise RunError(f"another process has changed {self.path} meanwhile; run the command again.")
                    self._run("INSERT OR REPLACE INTO shown VALUES (?, ?)", name, found)
            if known != wanted:
                self.set_meta("generation", str(self.generation + 1))
            hidden = list(self._rows("SELECT id FROM documents WHERE id NOT IN (SELECT document FROM shown)"))
            for (document,) in hidden:
                self._run("DELETE FROM documents WHERE id = ?", document)
                self._run("DELETE FROM passages WHERE document = ?", document)

    def remove(self, name: str) -> None:
        """Forget a document and its passages."""
        with self.transaction():
            self.publish({other: digest for other, digest in self.digests().items() if other != name})
