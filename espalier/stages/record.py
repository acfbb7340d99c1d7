"""What a recipe of stages has done so far: `stages.json` in its folder, written whole after every change."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from espalier.errors import RunError
from espalier.run import write_text
from espalier.stages.digests import RECORD

LOCK = ".stages.lock"


@dataclass(frozen=True)
class Done:
    """One stage, as it last ran."""

    state: str  # running, done, failed, interrupted, or again: it was asked for again and has not run yet
    command: list[str]
    version: str
    inputs: dict[str, str]  # digests
    outputs: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass
class Record:
    """The stages that have run, by name, and digests of large files that need not be read again."""

    folder: Path
    stages: dict[str, Done] = field(default_factory=dict)
    files: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path) -> Record:
        """The record of a folder; empty where there is none.

        Raises:
            RunError: there is one that cannot be read.
        """
        file = folder / RECORD
        if not file.exists():
            return cls(folder)
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            stages = {name: Done(**done) for name, done in kept["stages"].items()}
            return cls(folder, stages, dict(kept["files"]))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise RunError(f"{file}: not a record of stages. Remove it, and every stage runs again.") from None

    def write(self) -> None:
        """Write it, whole or not at all."""
        kept = {"stages": {name: asdict(done) for name, done in self.stages.items()}, "files": self.files}
        write_text(self.folder / RECORD, json.dumps(kept, ensure_ascii=False, indent=1))


@contextlib.contextmanager
def locked(folder: Path, verb: str = "run", choose: str = "out=FOLDER") -> Iterator[None]:
    """Make a folder and keep other runs out of it; a process forked meanwhile keeps them out until it has ended too.

    Raises:
        RunError: another is at work there, or there is a file of that name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise RunError(f"{folder}: a file is in the way. Choose another folder: {choose}.") from None
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(
                f"{folder}: another `espalier {verb}` is at work there. Wait for its end, or choose another: {choose}."
            ) from None
        yield
    finally:
        os.close(descriptor)
