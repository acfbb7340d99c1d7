"""Documents as they lie in a folder: text, Markdown, HTML, PDF, Office, HWPX, and files of rows with a text each."""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from espalier.errors import EspalierError, RowError
from espalier.formats.fields import Malformed, encodable
from espalier.formats.files import records
from espalier.formats.text import COMPRESSED, DAMAGED, open_bytes, plain_suffix
from espalier.knowledge import readers
from espalier.knowledge.encodings import decode
from espalier.knowledge.headings import first_heading
from espalier.knowledge.hypertext import declared_encoding, extract
from espalier.knowledge.places import Places

MAX = 100_000_000  # bytes of one document
CHANGED = "{name} changed while it was read; run the command again when nothing writes it."
ROWS = (".jsonl", ".ndjson", ".json")

_HTML = (".html", ".htm", ".xhtml")
_MARKDOWN = (".md", ".markdown", ".mdx")


@dataclass(frozen=True)
class Document:
    """A document as it is searched and cited.

    `name` is its path relative to the folder, with forward slashes, or "file.jsonl#id" for a row of a file; `text` is
    what offsets refer to. Both are in Unicode's composed form (NFC). `notes` say what a reader should know about how
    the file was read; `places` where its pages, slides or sheets begin in the text, in order.
    """

    name: str
    title: str
    text: str
    encoding: str = "utf-8"
    notes: tuple[str, ...] = ()
    places: Places = ()


def find_documents(folder: Path) -> list[tuple[str, Path]]:
    """Every file of a folder, sorted by name, or the one file given; nothing hidden, no folder twice.

    A file of rows (.jsonl, .json, also compressed) stands here once; `read_rows` reads its documents.

    Raises:
        RowError: there is no such folder or file.
    """
    if folder.is_dir():
        return sorted((_composed(path.relative_to(folder)), path) for path in _walk(folder))
    if not folder.exists():
        raise RowError(f"there is no file or folder {str(folder)!r}; name the folder with your documents.")
    return [(_composed(PurePath(folder.name)), folder)]


def read_document(path: Path, name: str) -> Document:
    """The document in a file.

    Args:
        path: the file, also compressed.
        name: what it is called in the index and in errors.

    Raises:
        RowError: it is not text, empty, too large, or cannot be opened.
    """
    return parse(read_bytes(path, name), name)


def read_bytes(path: Path, name: str) -> bytes:
    """The bytes of a file, decompressed, at most `MAX` of them."""
    try:
        _check_regular(path, name)
        for _ in range(2):
            before = version(path)
            with open_bytes(path) as file:
                data = file.read(MAX + 1)
            if version(path) == before:
                break
        else:
            raise RowError(CHANGED.format(name=name))
    except FileNotFoundError as problem:
        raise RowError(f"{name} is no longer there, or a link that leads nowhere.") from problem
    except DAMAGED as problem:
        raise RowError(f"{name} cannot be read: {getattr(problem, 'strerror', None) or problem}.") from problem
    if len(data) > MAX:
        raise RowError(f"{name} is larger than {MAX / 1e6:,.0f} MB; split it into smaller documents.")
    return data


def version(path: Path) -> tuple[int, ...]:
    """What changes when a file does."""
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def parse(data: bytes, name: str) -> Document:
    """The document in the bytes of a file; its name says of which kind it is.

    Raises:
        RowError: it holds no text, or none that can be read.
    """
    try:
        return _parsed(data, name)
    except EspalierError:
        raise
    except Exception as problem:  # a parser may raise anything on a file that was made to break it
        why = f"{type(problem).__name__}: {problem}"[:200]
        raise RowError(f"{name} is damaged or of a form that is not known here ({why}).") from problem


def _parsed(data: bytes, name: str) -> Document:
    if not data.strip():
        raise RowError(f"{name} is empty.")
    path = PurePath(name)
    path = PurePath(path.stem) if path.suffix.lower() in COMPRESSED else PurePath(path.name)
    if found := readers.read(data, name, path.suffix.lower()):
        return Document(name, found.title or path.stem, found.text, notes=found.notes, places=found.places)
    is_html = path.suffix.lower() in _HTML
    text, encoding, notes = decode(data, name, declared=declared_encoding(data) if is_html else "")
    text, title = _normal(text), ""
    if is_html:
        title, text = extract(text)
        text = _normal(text)  # an entity may stand for half of a composed character
    if not title and (is_html or path.suffix.lower() in _MARKDOWN):
        title = first_heading(text)
    if not text.strip():
        raise RowError(f"{name} holds no text.")
    return Document(name, _normal(title) or path.stem, text, encoding, notes)


def read_rows(path: Path, name: str) -> Iterator[Document | str]:
    """The documents in a file of rows: `text`, `title` (or `name`) and `id` (or `_id`). A sentence for a bad row."""
    for number, (place, row) in enumerate(_records(path, name), 1):
        where = f"{name}{place.removeprefix(path.name)}"
        if isinstance(row, Malformed):
            yield f"{where}: {row}"
            continue
        text, title = row.get("text"), row.get("title") or row.get("name") or ""
        given = next((row[field] for field in ("id", "_id") if row.get(field) not in (None, "")), number)
        if not isinstance(text, str) or not text.strip():
            yield f"{where}: it has no text in a field 'text'"
        elif len(text) > MAX:
            yield f"{where}: its text is larger than {MAX / 1e6:,.0f} MB"
        elif not encodable(f"{given}{title}{text}"):
            yield f"{where}: it is not valid Unicode"
        else:
            yield Document(
                _normal(f"{name}#{given}"), _normal(str(title)).strip(), _normal(text).replace("\0", "\ufffd")
            )


def _records(path: Path, name: str) -> Iterator[tuple[str, Any]]:
    try:
        _check_regular(path, name)
        before = version(path)
        yield from records(path)
        if version(path) != before:
            yield path.name, Malformed("it changed while it was read", "run the command again when nothing writes it")
    except DAMAGED as problem:
        yield path.name, Malformed("it cannot be read", getattr(problem, "strerror", None) or str(problem))


def is_rows(path: Path) -> bool:
    """Whether a file holds one document a row."""
    return plain_suffix(path) in ROWS


def _walk(folder: Path) -> Iterator[Path]:
    """The files below a folder; a folder that cannot be opened stands for itself, so that its error is not lost."""
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            status = here.stat()
            inside = [Path(entry.path) for entry in os.scandir(here) if not entry.name.startswith(".")]
        except OSError:
            yield here
            continue
        if (status.st_dev, status.st_ino) not in seen:  # else a link back, or a second way to the same folder
            seen.add((status.st_dev, status.st_ino))
            waiting += (path for path in inside if path.is_dir())
            yield from (path for path in inside if not path.is_dir())


def _check_regular(path: Path, name: str) -> None:
    """Refuse what would block or never end: pipes, devices, sockets."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise RowError(f"{name} is not a file that can be read.")


def _composed(path: PurePath) -> str:
    """A name in composed form; bytes of it that are no text are replaced, so that it can be stored and printed."""
    return unicodedata.normalize("NFC", os.fsencode(path.as_posix()).decode("utf-8", "replace"))


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n"))
