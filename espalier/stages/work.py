"""Doing the stages of a recipe: which are skipped and why, what is moved out of the way, how one is taken up again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from espalier import __version__
from espalier.errors import RecipeError
from espalier.evaluation.wording import listed
from espalier.run import Run
from espalier.stages.digests import MISSING, Digests, read_by
from espalier.stages.recipe import Stage, Stages, within
from espalier.stages.record import Done, Record

CONTINUE = ("train", "index")  # commands that go on with what they left when they were interrupted
PENDING = ("running", "interrupted", "failed")
REASONS = {
    "running": "it was interrupted",
    "interrupted": "it was interrupted",
    "failed": "it failed",
    "again": "it was asked for again",
}


@dataclass(frozen=True)
class Verdict:
    """Whether a stage runs, and why; `maybe` where a stage it needs runs first and may change nothing for it."""

    stage: Stage
    runs: bool
    why: str
    maybe: bool = False


@dataclass(frozen=True)
class Begun:
    """A stage about to run: the words of its command, and what was moved where."""

    words: tuple[str, ...]
    moved: tuple[tuple[Path, Path], ...] = ()


class Work:
    """The stages of a recipe, and how far they are."""

    def __init__(self, recipe: Stages) -> None:
        self.recipe = recipe
        self.record = Record.of(recipe.out)
        self.digests = Digests(self.record.files)

    def verdicts(self, stages: Sequence[Stage], again: Sequence[Stage] = ()) -> list[Verdict]:
        """What would happen to these stages if they were run now, those of `again` in any case."""
        found: list[Verdict] = []
        for stage in stages:
            verdict = Verdict(stage, True, REASONS["again"]) if stage in again else self.verdict(stage)
            running = [other.stage.name for other in found if other.runs and other.stage.name in stage.after]
            if running and not verdict.runs:
                verdict = Verdict(stage, True, f"it needs {listed(running)}", maybe=True)
            found.append(verdict)
        return found

    def verdict(self, stage: Stage) -> Verdict:
        """Whether a stage has to run as things are now."""
        kept = self.record.stages.get(stage.name)
        if kept is None:
            return Verdict(stage, True, "it has not run yet")
        if changed := self._changed(stage, kept):
            return Verdict(stage, True, changed)
        if kept.state != "done" and not self._finished(stage, kept):
            return Verdict(stage, True, REASONS[kept.state])
        if kept.state == "done" and (lost := self._lost(kept)):
            return Verdict(stage, True, lost)
        return Verdict(stage, False, "nothing changed")

    def again(self, stages: Sequence[Stage]) -> None:
        """Have these stages run again, now or by the next run."""
        for stage in stages:
            if kept := self.record.stages.get(stage.name):
                self.record.stages[stage.name] = replace(kept, state="again")
        self._write()

    def begin(self, stage: Stage) -> Begun:
        """Move what is in the way aside, and write down that the stage runs; it may be taken up where it was left."""
        for name in stage.after:
            needed = self.record.stages.get(name)
            if needed is None or needed.state in PENDING:
                raise RecipeError(f"{self.recipe.file}: stage {stage.name!r} needs {name!r}, which has not run yet.")
        kept = self.record.stages.get(stage.name)
        taken_up = kept is not None and kept.state in PENDING and not self._changed(stage, kept)
        stays = taken_up and stage.words[0] in CONTINUE
        moved = tuple((path, _moved_aside(path)) for path in stage.writes if path.exists() and not stays)
        seconds = kept.seconds if kept and taken_up else 0.0
        now = Done("running", list(stage.words), __version__, self._inputs(stage), seconds=seconds)
        self.record.stages[stage.name] = now  # after the move: what then lies there is of this very command
        self._write()
        return Begun(_continued(stage), moved)

    def end(self, stage: Stage, state: str, seconds: float) -> None:
        """Write down how a stage ended: done, failed or interrupted."""
        kept = self.record.stages[stage.name]
        outputs = self._outputs(stage) if state == "done" else {}
        self.record.stages[stage.name] = replace(
            kept, state=state, outputs=outputs, seconds=round(kept.seconds + seconds, 1)
        )
        self._write()

    def skip(self, stage: Stage) -> None:
        """Write down what a stage has made that was killed between its last act and ours."""
        if self.record.stages[stage.name].state != "done":
            self.end(stage, "done", 0.0)

    def _write(self) -> None:
        self.record.files = {path: about for path, about in self.digests.known.items() if os.path.exists(path)}
        self.record.write()

    def _inputs(self, stage: Stage) -> dict[str, str]:
        """Digests of the paths that a command reads, and of the stages that it needs for no such path."""
        paths = read_by(stage)
        found = {str(path): self.digests.of(path, stage.writes) for path in paths}
        for name in stage.after:
            writes = self.recipe.stage(name).writes
            if not any(within(path, folder) for path in paths for folder in writes):
                found[f"stage {name}"] = _digest(self.record.stages.get(name))
        return found

    def _outputs(self, stage: Stage) -> dict[str, str]:
        return {str(path): self.digests.of(path) for path in stage.writes}

    def _changed(self, stage: Stage, kept: Done) -> str:
        """What is no longer as it was when the stage last ran; empty if nothing."""
        if list(stage.words) != kept.command:
            return "its command changed"
        if kept.version != __version__:
            return f"espalier is {__version__} and was {kept.version}"
        inputs = self._inputs(stage)
        changed = [name for name in {**kept.inputs, **inputs} if kept.inputs.get(name) != inputs.get(name)]
        return f"{listed(changed)} changed" if changed else ""

    def _lost(self, kept: Done) -> str:
        """What the stage made and is no longer as it was; empty if nothing."""
        now = {path: self.digests.of(Path(path)) for path in kept.outputs}
        gone = [path for path, digest in now.items() if digest == MISSING != kept.outputs[path]]
        altered = [path for path, digest in now.items() if digest != kept.outputs[path]]
        if gone:
            return f"{listed(gone)} {'is' if len(gone) == 1 else 'are'} gone"
        return f"{listed(altered)} is not as it left it" if altered else ""

    def _finished(self, stage: Stage, kept: Done) -> bool:
        """Whether a training run came to its end though its stage could not write that down."""
        runs = [Run(path) for path in stage.writes if (path / "run.json").is_file()]
        return kept.state in PENDING and stage.words[0] == "train" and any(run.state == "finished" for run in runs)


def _continued(stage: Stage) -> tuple[str, ...]:
    """The words that run a stage: of a training run that is there already, those that go on with it."""
    there = [path for path in stage.writes if (path / "run.json").is_file()]
    return ("train", "--resume", "--out", str(there[0])) if stage.words[0] == "train" and there else stage.words


def _moved_aside(path: Path) -> Path:
    """Give a file or folder the first free name of NAME.old-1, NAME.old-2 ..., which is returned."""
    number = 1
    while (aside := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    path.rename(aside)
    return aside


def _digest(done: Done | None) -> str:
    """What a stage has done, without how long it took."""
    about = {**asdict(done), "seconds": 0.0, "state": ""} if done else None
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()
