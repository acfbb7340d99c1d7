"""Recording a run: a folder of its own, and every event as it happens."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from espalier.errors import RunError
from espalier.run import Run, resume_command
from espalier.train import checkpoints, distributed
from espalier.train.disk import is_full
from espalier.train.loop import Event

START = ("audit.json", "recipe.toml", "run.json")  # what a run's folder begins with, in this order

Listen = Callable[[Event], None]


def new_run(folder: Path) -> Run:
    """A run that does not exist yet, in a folder that is absent or empty."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file. Choose another --out.")
    if (folder / "run.json").exists():
        raise RunError(
            f"{folder} already holds a run. Choose another --out, or go on with it: {resume_command(Run(folder))}"
        )
    there = {path.name for path in folder.iterdir() if path.suffix != ".partial"} if folder.exists() else set()
    if there and not ("audit.json" in there and there <= set(START)):  # a run killed while it was writing these
        raise RunError(f"{folder} is not empty. Choose another --out.")
    checkpoints.mend(folder)
    return Run(folder)


class Recorder:
    """Writes every event to metrics.jsonl, passes it on, and makes sure a failed start leaves nothing behind."""

    def __init__(self, run: Run, listen: Listen) -> None:
        self.run, self.listen = run, listen
        self.keep = (run.folder / "run.json").exists()

    def __enter__(self) -> Recorder:
        return self

    def __call__(self, event: Event, *, keep: bool = True) -> None:
        if distributed.rank() != 0:
            return
        self.keep |= event.kind == "save"
        if keep and self.run.folder.exists():
            with (self.run.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"kind": event.kind, "step": event.step, **event.values}, default=str) + "\n")
        self.listen(event)

    def note(self, text: str, *, keep: bool = True) -> None:
        """A sentence for the user."""
        self(Event("note", 0, {"text": text}), keep=keep)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or distributed.rank() != 0:
            return
        if not self.keep:
            shutil.rmtree(self.run.folder, ignore_errors=True)
        if is_full(error):
            remedy = f"go on with: {resume_command(self.run)}" if self.keep else "start again"
            raise RunError(
                f"the disk is full: {self.run.folder} cannot be written. Free some space, then {remedy}"
            ) from error
