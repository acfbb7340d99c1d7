"""`espalier index`: a folder of documents made searchable, with what was read and what could not be."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from espalier import console
from espalier.cli.progress import Progress
from espalier.console import Fact, visible
from espalier.errors import RecipeError
from espalier.evaluation.wording import number
from espalier.indexing import Indexed
from espalier.indexing import index as make
from espalier.knowledge.sync import CHARACTERS

SHOWN = 10  # failures, and notes


class Reading(Progress):
    """A live bar, or plain lines, for counts alone."""

    def count(self, what: str, done: int, total: int) -> None:
        """Show how far it is."""
        self._draw(what, done, total)


def index(
    folder: Path,
    out: Path | None,
    *,
    size: int | None = None,
    overlap: int | None = None,
    chunker: str | None = None,
    tokens: str | None = None,
    retrievers: Sequence[str] = (),
    embedder: str | None = None,
    k1: float | None = None,
    b: float | None = None,
) -> None:
    """Index, and say what came of it.

    Args:
        folder: documents.
        out: the index.
        size: of a passage at most, in characters or tokens.
        overlap: how much of the passage before a passage repeats.
        chunker: what passages are made of.
        tokens: the model whose tokens are counted.
        retrievers: what the index is to keep beside bm25.
        embedder: what those that compare vectors embed with.
        k1: an option of bm25.
        b: another.

    Raises:
        RecipeError: it was not said where the index goes.
    """
    if out is None:
        name = shlex.quote(f"{folder.resolve().name}.kb")
        raise RecipeError(
            f"where shall the index go? Name one file outside of {folder}: "
            f"espalier index {shlex.quote(str(folder))} --out {name}"
        )
    options = {name: value for name, value in (("k1", k1), ("b", b)) if value is not None}
    screen = console.make()
    progress = Reading(screen)
    try:
        with progress:
            found = make(
                folder, out, size=size, overlap=overlap, chunker=chunker, tokens=tokens, retrievers=retrievers,
                embedder=embedder, progress=progress.count, **options,
            )  # fmt: skip
    except KeyboardInterrupt:
        print("the same command goes on from here", file=sys.stderr)
        raise
    console.facts(screen, [*_documents(found), *_several("note", found.notes), *_made(found, out)])


def _documents(found: Indexed) -> list[Fact]:
    synced = found.synced
    counts = [(name, getattr(synced, name)) for name in ("added", "changed", "removed", "unchanged")]
    parts = [f"{count:,} {name}" for name, count in [*counts, ("failed", len(synced.failed))] if count]
    facts: list[Fact] = [("documents", ", ".join(parts))]
    if synced.recut:
        facts.append(("", f"{synced.recut:,} of the changed only cut again, in the new manner"))
    facts += _several("failed", list(synced.failed.values()))
    return facts + _several("note", [f"{name}: {', '.join(notes)}" for name, notes in synced.notes.items()])


def _made(found: Indexed, out: Path) -> list[Fact]:
    unit = found.unit if found.unit == CHARACTERS else f"tokens of {found.unit}"
    passages = f"{found.synced.passages:,} of at most {found.size:,} {unit}"
    made = f"{out}, {number(found.bytes / 1e6)} MB, in {number(found.seconds)} s"
    kept = ", ".join(found.retrievers)
    meant = ("--with", "hybrid") if "dense" in found.retrievers else ()  # vectors are searched only when named
    following = console.command("ask", out, "Your question?", *meant)
    return [("passages", passages), ("search", kept), ("index", made), ("next", following)]


def _several(label: str, sentences: Sequence[str]) -> list[Fact]:
    more = len(sentences) - SHOWN
    return [(label, visible(text)) for text in (*sentences[:SHOWN], *([f"and {more:,} more"] if more > 0 else []))]
