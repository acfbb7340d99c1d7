"""Digests of files and folders: whether what a stage reads or has written is still the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from espalier.errors import RecipeError
from espalier.recipe import read_toml
from espalier.stages.recipe import Stage, within

LARGE = 2**20  # bytes from which on a file of the same size and time counts as unchanged
RECORD = "stages.json"  # which changes with every stage
UNCOUNTED = ("checkpoints", "report.html")  # of a run's folder: removed to save space, and written again at will
MISSING = ""  # the digest of what is not there


class Digests:
    """Digests by content.

    Attributes:
        known: of large files, [size, time, digest] by path; what is here need not be read again.
    """

    def __init__(self, known: Mapping[str, Any]) -> None:
        self.known = dict(known)

    def of(self, path: Path, without: Collection[Path] = ()) -> str:
        """The digest of a file; of a folder by the names and contents in it; `MISSING` where there is neither.

        Args:
            path: the file or folder.
            without: files and folders inside it that do not count.
        """
        if path.is_file():
            return self._file(path)
        if not path.is_dir():
            return MISSING
        files = (file for file in _files(path) if not any(within(file, other) for other in without))
        found = [[file.relative_to(path).as_posix(), self._file(file)] for file in files]
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()

    def _file(self, file: Path) -> str:
        about = file.stat()
        mark, key = [about.st_size, about.st_mtime_ns], os.path.abspath(file)
        if (kept := self.known.get(key)) and kept[:2] == mark:
            return str(kept[2])
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if about.st_size >= LARGE:
            self.known[key] = [*mark, digest]
        return digest


def _files(folder: Path) -> Iterator[Path]:
    """The files of a folder in order, without those that nobody sees and those of a run that do not count."""
    is_run = (folder / "run.json").is_file()
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == RECORD or (is_run and path.name in UNCOUNTED):
            continue
        if path.is_dir():
            yield from () if path.is_symlink() else _files(path)
        elif path.is_file():
            yield path


def read_by(stage: Stage) -> list[Path]:
    """The existing paths that a stage's command names and does not write, and those that a recipe among them names."""
    found: dict[Path, None] = {}
    for path in stage.named():
        if not os.path.exists(path) or any(within(path, mine) for mine in stage.writes):
            continue
        found[path] = None
        if path.suffix == ".toml" and path.is_file():
            found.update(dict.fromkeys(_named_in(path)))
    return list(found)


def _named_in(recipe: Path) -> Iterator[Path]:
    """The existing files and folders that a TOML file names."""
    try:
        waiting: list[Any] = [read_toml(recipe)]
    except RecipeError:  # the command itself tells
        return
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [item for key, item in value.items() if key != "out"]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, str) and value and os.path.exists(path := os.path.expanduser(value)):
            yield Path(path)
