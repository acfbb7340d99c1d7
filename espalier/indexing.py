"""A folder of documents made searchable: read, cut into passages, and every term of them scored, in one file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier import catalogue
from espalier.errors import RowError, RunError
from espalier.knowledge.store import Store
from espalier.knowledge.sync import Synced, refuse_inside, sync
from espalier.lexical import BLOB, as_hit, known, searched
from espalier.retrievers.bm25 import BM25

SIZE = 700  # characters of a passage

Progress = Callable[[str, int, int], None]  # what is done, how much of it, of how much


@dataclass(frozen=True)
class Indexed:
    """What came of it."""

    synced: Synced
    size: int  # characters of a passage at most
    bytes: int  # of the file
    seconds: float


def index(
    folder: Path, out: Path, *, size: int | None = None, progress: Progress = lambda *_: None, **options: Any
) -> Indexed:
    """Bring the index of a folder up to date; what has not changed is not read again.

    Args:
        folder: documents, or a single file.
        out: the index, one file outside the folder.
        size: characters of a passage at most; if not given, the index's own, and 700 for a new one.
        progress: told what is done.
        options: of retrievers/bm25; those not given are the index's own.

    Raises:
        RunError: the index would lie in the folder, or belongs to another one.
        RowError: nothing can be read.
    """
    began, source = time.monotonic(), str(folder.resolve())
    BM25(**options).scores(["words"])  # what cannot be, or is not installed, is refused before anything is made
    refuse_inside(out, folder)
    with _made(out, source) as store:
        about = known(store)
        bm25 = catalogue.build({"method": "retrievers/bm25", **about.get("options", {}), **options})
        size = size or int(store.meta("size") or SIZE)
        synced = sync(
            store, folder, size=size, progress=lambda done, total, _: progress("reading documents", done, total)
        )
        wanted = _about(store, bm25)
        if {name: about.get(name) for name in wanted} != wanted:
            _score(store, bm25, progress)
    return Indexed(synced, size, out.stat().st_size, time.monotonic() - began)


@contextmanager
def _made(out: Path, source: str) -> Iterator[Store]:
    """The index at a path, made if there is none; a new one without any document is taken away again."""
    new = not out.exists()
    with Store.create(out, folder=source) as store:
        if (other := store.meta("folder")) != source:
            raise RunError(f"{out} is the index of {other}. Give --out another file for {source}, or delete {out}.")
        try:
            yield store
        except RowError:
            if new and not len(store):
                store.close()
                out.unlink()
            raise


def _score(store: Store, bm25: BM25, progress: Progress) -> None:
    """Score every term of every passage, and keep the scores."""
    about, total = _about(store, bm25), len(store)
    numbers: list[int] = []

    def texts() -> Iterator[str]:
        for passage in store.passages():
            numbers.append(passage.number)
            progress("scoring words", len(numbers), total)
            yield searched(as_hit(passage))

    scores = bm25.scores(texts())
    store.put_blob(BLOB, scores.to_bytes({**about, "numbers": numbers}))


def _about(store: Store, bm25: BM25) -> dict[str, Any]:
    """What decides the scores: if this has not changed, they have not."""
    return {"options": catalogue.options(bm25), "analyzer": bm25.analyzer.id, "generation": store.generation}
