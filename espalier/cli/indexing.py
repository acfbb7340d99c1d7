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

SHOWN = 10  # failures, and notes


class Reading(Progress):
    """A live bar, or plain lines, for counts alone."""

    def count(self, what: str, done: int, total: int) -> None:
        """Show how far it is."""
        self._draw(what, done, total)


def index(folder: Path, out: Path | None, *, size: int | None, k1: float | None, b: float | None) -> None:
    """Index, and say what came of it.

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
            found = make(folder, out, size=size, progress=progress.count, **options)
    except KeyboardInterrupt:
        print("the same command goes on from here", file=sys.stderr)
        raise
    console.facts(screen, [*_documents(found), *_made(found, out)])


def _documents(found: Indexed) -> list[Fact]:
    synced = found.synced
    counts = [(name, getattr(synced, name)) for name in ("added", "changed", "removed", "unchanged")]
    parts = [f"{count:,} {name}" for name, count in [*counts, ("failed", len(synced.failed))] if count]
    facts: list[Fact] = [("documents", ", ".join(parts))]
    if synced.recut:
        facts.append(("", f"{synced.recut:,} of the changed only cut again, at the new size"))
    facts += _several("failed", list(synced.failed.values()))
    return facts + _several("note", [f"{name}: {', '.join(notes)}" for name, notes in synced.notes.items()])


def _made(found: Indexed, out: Path) -> list[Fact]:
    passages = f"{found.synced.passages:,} of at most {found.size:,} characters"
    made = f"{out}, {number(found.bytes / 1e6)} MB, in {number(found.seconds)} s"
    return [("passages", passages), ("index", made), ("next", console.command("ask", out, "Your question?"))]


def _several(label: str, sentences: Sequence[str]) -> list[Fact]:
    more = len(sentences) - SHOWN
    return [(label, visible(text)) for text in (*sentences[:SHOWN], *([f"and {more:,} more"] if more > 0 else []))]
