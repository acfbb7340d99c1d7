"""Bringing an index up to date with a folder: only what changed is read into it, and an interrupted run goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from espalier.errors import RowError, RunError
from espalier.formats.files import note
from espalier.formats.text import DAMAGED, open_bytes, plain_suffix
from espalier.knowledge.chunks import Chunk, cut
from espalier.knowledge.documents import Document, find_documents, is_rows, parse, read_bytes, read_rows
from espalier.knowledge.lengths import Length
from espalier.knowledge.store import Store

DOCUMENTS_PER_COMMIT = 100
CHARACTERS_PER_COMMIT = 5_000_000
CHARACTERS = "characters"

Progress = Callable[[int, int, str], None]  # documents done, documents in all (an estimate), the document's name


@dataclass
class Synced:
    """What a run did: counts of documents, and by name what could not be read and what is worth telling.

    Of the documents that changed, `recut` are the same as before and were cut again, in another manner; of those that
    were added or changed, `resumed` were read by a run that was interrupted.
    """

    added: int = 0
    changed: int = 0
    removed: int = 0
    unchanged: int = 0
    recut: int = 0
    resumed: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    passages: int = 0


@dataclass(frozen=True)
class Cutting:
    """How documents are cut, as `chunks.cut` has it; an index remembers it, and what is cut otherwise is cut again.

    `unit` names what `length` counts, such as the model whose tokens they are.
    """

    size: int = 700
    overlap: int = 0
    chunker: str = "structure"
    unit: str = CHARACTERS
    length: Length | None = None

    def __call__(self, document: Document) -> list[Chunk]:
        """The passages of a document."""
        return cut(
            document.text, title=document.title, size=self.size, overlap=self.overlap, chunker=self.chunker,
            length=self.length,
        )  # fmt: skip

    def described(self) -> dict[str, str]:
        """What an index remembers of it."""
        return {name: str(getattr(self, name)) for name in ("size", "overlap", "chunker", "unit")}


def sync(
    store: Store, folder: Path, *, size: int = 700, overlap: int = 0, chunker: str = "structure",
    unit: str = CHARACTERS, length: Length | None = None, progress: Progress | None = None,
) -> Synced:  # fmt: skip
    """Bring an index up to date with a folder of documents, or with one file.

    What has been read is committed now and then and not yet seen, so that a run that is interrupted continues where it
    was; all of it is shown at once at the end. A file that cannot be read is counted and leaves the index. The folder
    itself is never written.

    Args:
        store: the index.
        folder: the documents.
        size: the longest passage, in units.
        overlap: how much of the passage before a passage repeats, in units.
        chunker: what passages are made of, as `chunks.cut` has it.
        unit: what size and overlap are in: characters, or the name of the model whose tokens `length` counts.
        length: counts the units of a text, where they are not characters.
        progress: called after every document.

    Raises:
        RecipeError: documents cannot be cut so.
        RowError: there is no document that can be read; the index then stays as it was.
        RunError: the index lies inside the folder, or another process is writing it.
    """
    refuse_inside(store.path, folder)
    files = find_documents(folder)
    if not files:
        raise RowError(f"the folder {folder} holds no documents; put text, PDF, Office, HTML or JSONL files into it.")
    cutting = Cutting(size, overlap, chunker, unit, length)
    cutting(Document("", "", ""))  # what cannot be is refused before anything is read
    with store.transaction():
        run = _Run(store, cutting)
        total = sum(_expected(path) for _, path in files) if progress else 0
        for done, name in enumerate(run.names(files), 1):
            if progress:
                progress(done, max(done, total), name)
        if not run.seen:
            raise RowError(_nothing(folder, run.synced.failed))
        run.synced.removed = len(run.known.keys() - run.seen.keys())
        store.checkpoint()  # what was read is kept, whatever happens to a transaction that this one is part of
        store.publish(run.seen)
        store.set_errors(run.synced.failed)
        place = str(folder.resolve()).encode("utf-8", "replace").decode()  # a name need not be text
        for name, value in {"folder": place, **cutting.described()}.items():
            store.set_meta(name, value)
    run.synced.passages = len(store)
    return run.synced


def refuse_inside(path: Path, folder: Path) -> None:
    """Refuse an index inside the folder it is made of, where it would be in the way and become a document itself."""
    if path.resolve().is_relative_to(folder.resolve()):
        raise RunError(f"the index {path} would lie inside {folder}; choose a place outside your documents.")


def _expected(path: Path) -> int:
    """About how many documents a file holds."""
    if plain_suffix(path) not in (".jsonl", ".ndjson") or not path.is_file():
        return 1
    try:
        with open_bytes(path) as file:
            return sum(1 for line in file if line.strip())
    except DAMAGED:
        return 1


def _nothing(folder: Path, failed: dict[str, str]) -> str:
    first = next(iter(failed.values()), "")
    if len(failed) == 1:
        return first
    return f"none of the {len(failed):,} files in {folder} can be read. The first: {first}"


class _Run:
    """One pass over the files: what was seen, what is counted, and what is not yet committed."""

    def __init__(self, store: Store, cutting: Cutting) -> None:
        self.store, self.cutting, self.manner = store, cutting, " ".join(cutting.described().values())
        self.known = store.digests()
        self.seen: dict[str, str] = {}  # the digest of each document
        self.synced = Synced()
        self.documents = self.characters = 0  # written since the last commit

    def names(self, files: list[tuple[str, Path]]) -> Iterator[str]:
        """Bring the documents of every file up to date; yields the name of each when it is done."""
        for name, path in files:
            try:
                if is_rows(path):
                    yield from self.rows(path, name)
                    continue
                data = read_bytes(path, name)
                digest = self.digest(data)
                if not self.is_known(name, digest):
                    self.put(parse(data, name), digest)
            except RowError as problem:
                self.synced.failed[name] = str(problem)
            yield name

    def rows(self, path: Path, name: str) -> Iterator[str]:
        """The same for the rows of one file, whose failures are told together."""
        failed, first, before = 0, "", len(self.seen)
        for row in read_rows(path, name):
            try:
                if isinstance(row, str):
                    raise RowError(row)
                digest = self.digest(f"{row.title}\0{row.text}".encode())
                if not self.is_known(row.name, digest):
                    self.put(row, digest)
            except RowError as problem:
                failed, first = failed + 1, first or str(problem)
            yield name if isinstance(row, str) else row.name
        if failed:
            self.synced.failed[name] = first if failed == 1 else f"{failed:,} rows cannot be read. The first: {first}"
        elif len(self.seen) == before:
            self.synced.failed[name] = f"{name} holds no rows."
        if len(self.seen) > before and (told := note(path)):
            self.synced.notes[name] = (told,)

    def digest(self, data: bytes) -> str:
        return f"{hashlib.sha256(data).hexdigest()} {self.manner}"

    def is_known(self, name: str, digest: str) -> bool:
        """Whether a document is in the index as it is now, or waits to be shown."""
        if name in self.seen:
            raise RowError(f"{name}: another document has the same name; rename one of them.")
        is_shown = self.known.get(name) == digest
        if is_shown:
            self.synced.unchanged += 1
        elif not self.store.is_staged(name, digest):
            return False
        else:
            self.synced.resumed += 1
            self.count(name, digest)
        self.seen[name] = digest
        return True

    def count(self, name: str, digest: str) -> None:
        """A document is new or changed."""
        before = self.known.get(name)
        self.synced.added += before is None
        self.synced.changed += before is not None
        self.synced.recut += before is not None and before.split()[0] == digest.split()[0]

    def put(self, document: Document, digest: str) -> None:
        """Cut a new or changed document and keep it."""
        self.store.stage(document, digest, self.cutting(document))
        self.seen[document.name] = digest
        self.count(document.name, digest)
        if document.notes:
            self.synced.notes[document.name] = document.notes
        self.documents, self.characters = self.documents + 1, self.characters + len(document.text)
        if self.documents >= DOCUMENTS_PER_COMMIT or self.characters >= CHARACTERS_PER_COMMIT:
            self.store.checkpoint()
            self.documents = self.characters = 0
