"""A folder of documents made searchable: read, cut into passages, and all that retrievers need of them, in one file."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier import catalogue
from espalier.catalogue import address_of
from espalier.errors import EspalierError, RecipeError, RunError
from espalier.knowledge.lengths import Length
from espalier.knowledge.store import Store
from espalier.knowledge.sync import CHARACTERS, Synced, refuse_inside, sync
from espalier.lexical import known
from espalier.retrievers.bm25 import BM25
from espalier.searching import Kept, Progress
from espalier.tables import Table

SIZE, TOKENS = 700, 200  # of a passage: characters, or tokens where those are counted
ALWAYS = "retrievers/bm25"  # what every index keeps


@dataclass(frozen=True)
class Indexed:
    """What came of it."""

    synced: Synced
    size: int  # of a passage at most
    unit: str  # what that is in: characters, or the model whose tokens are counted
    bytes: int  # of the file
    seconds: float
    retrievers: tuple[str, ...]  # what it keeps
    notes: tuple[str, ...] = ()  # what they have to say: how an embedder prepares texts, what it skipped


def index(
    folder: Path,
    out: Path,
    *,
    size: int | None = None,
    overlap: int | None = None,
    chunker: str | None = None,
    tokens: str | None = None,
    retrievers: Sequence[str] = (),
    embedder: str | None = None,
    progress: Progress = lambda *_: None,
    **options: Any,
) -> Indexed:
    """Bring the index of a folder up to date; what has not changed is not read again.

    Args:
        folder: documents, or a single file.
        out: the index, one file outside the folder.
        size: of a passage at most; if not given, the index's own, and 700 characters or 200 tokens for a new one.
        overlap: how much of the passage before a passage repeats; the index's own, and 0.
        chunker: what passages are made of, as `chunks.cut` has it; the index's own, and "structure".
        tokens: the model whose tokens size and overlap are in, or "characters"; the index's own, and characters.
        retrievers: what the index keeps beside bm25, from now on.
        embedder: of those of its retrievers that have one.
        progress: told what is done.
        options: of retrievers/bm25; those not given are the index's own.

    Raises:
        RecipeError: a retriever or an option cannot be.
        RunError: the index would lie in the folder, or belongs to another one.
        RowError: nothing can be read.
    """
    began, source = time.monotonic(), str(folder.resolve())
    BM25(**options).scores(["words"])  # what cannot be, or is not installed, is refused before anything is made
    refuse_inside(out, folder)
    with _made(out, source) as store:
        tables = _tables(json.loads(store.meta("retrievers") or "{}"), retrievers, embedder)
        bm25 = {"method": ALWAYS, **known(store).get("options", {}), **options}
        methods: list[Kept] = [catalogue.build(table) for table in (bm25, *tables.values())]
        unit = tokens or store.meta("unit") or CHARACTERS
        same = unit == (store.meta("unit") or CHARACTERS)  # a size in other units is none
        size = size or int(store.meta("size") or 0) * same or (SIZE if unit == CHARACTERS else TOKENS)
        overlap = int(store.meta("overlap") or 0) * same if overlap is None else overlap
        with store.transaction():  # documents, and what retrievers keep of them, are shown together
            synced = sync(
                store, folder, size=size, overlap=overlap, chunker=chunker or store.meta("chunker") or "structure",
                unit=unit, length=_length(unit),
                progress=lambda done, total, _: progress("reading documents", done, total),
            )  # fmt: skip
            for each in methods:
                each.keep(store, progress)
            store.set_meta("retrievers", json.dumps(tables))
        notes = tuple(note for each in methods for note in getattr(each, "notes", lambda _: ())(store))
    names = tuple(address.partition("/")[2] for address in (ALWAYS, *tables))
    return Indexed(synced, size, unit, out.stat().st_size, time.monotonic() - began, names, notes)


def _length(unit: str) -> Length | None:
    """What counts the tokens of a model; characters need no counting."""
    if unit == CHARACTERS:
        return None
    from espalier.models.load import bundled, load_tokenizer

    tokenizer = load_tokenizer(bundled(unit))
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False, verbose=False))


def _tables(kept: dict[str, Table], names: Sequence[str], embedder: str | None) -> dict[str, Table]:
    """The retrievers that an index keeps beside the first, by address: those it has, and those asked for."""
    tables = dict(kept)
    for name in names:
        asked = catalogue.build({"method": name}, "retrievers")
        parts = asked.parts().values() if hasattr(asked, "parts") else [asked]
        tables.update({address: {"method": address} for part in parts if (address := address_of(part)) not in tables})
    tables.pop(ALWAYS, None)
    if embedder is not None:
        asking = [table for table in tables.values() if "embedder" in catalogue.load(table["method"]).__annotations__]
        if not asking:
            raise RecipeError(f"nothing embeds with {embedder!r}: name a retriever that does, such as dense.")
        for table in asking:
            table["embedder"] = embedder
    return tables


@contextmanager
def _made(out: Path, source: str) -> Iterator[Store]:
    """The index at a path, made if there is none; a new one without any document is taken away again."""
    new = not out.exists()
    with Store.create(out, folder=source) as store:
        if (other := store.meta("folder")) != source:
            raise RunError(f"{out} is the index of {other}. Give --out another file for {source}, or delete {out}.")
        try:
            yield store
        except EspalierError:
            if new and not len(store):
                store.close()
                out.unlink()
            raise
