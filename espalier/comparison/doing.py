"""Doing a comparison: every run and every measurement is a stage in a process of its own, skipped if nothing changed.

One that fails, or that is killed for want of memory, is marked, and the rest goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from espalier.comparison.apart import apart
from espalier.comparison.number_type import settled
from espalier.comparison.plan import Agenda, Planned
from espalier.comparison.results import starts_of
from espalier.recipe import Recipe, dump
from espalier.run import write_text
from espalier.stages.process import STOPPED
from espalier.stages.recipe import Stage, Stages
from espalier.stages.work import Verdict, Work

ANSWERED = 64  # rows of --eval that are also answered; generation is the slow part
LONGEST = 160  # tokens of such an answer


@dataclass(frozen=True)
class Asked:
    """Rows to measure on beside those held back."""

    rows: str
    columns: str | None = None
    limit: int | None = None
    answers: int = ANSWERED


@dataclass(frozen=True)
class Job:
    """One stage: a run to train, or a model to measure.

    Attributes:
        name: what it is called where it fails.
        stage: how it is recorded.
        target: what is measured; empty where something is trained.
        recipe: of the run, or of the one whose start or result is measured.
    """

    name: str
    stage: Stage
    recipe: Recipe
    target: str = ""


def jobs(agenda: Agenda, out: Path, asked: Asked | None) -> list[Job]:
    """Everything that is to be done: what the candidates start from is measured, then each is trained and measured."""
    found = []
    if asked is not None:
        starts = {name: run for run, name in starts_of(agenda)}
        found += [_measuring(n, r.recipe.from_run or r.recipe.model, r, out, asked) for n, r in starts.items()]
    for run in agenda.runs:
        folder, file = Path(run.recipe.out), out / "recipes" / f"{run.name}.toml"
        stage = Stage(run.name, ("train", str(file)), writes=(folder,))
        found.append(Job(run.name, stage, run.recipe))
        if asked is not None:
            found.append(_measuring(run.name, str(folder), run, out, asked))
    return found


def _measuring(name: str, target: str, run: Planned, out: Path, asked: Asked) -> Job:
    file = out / "measured" / f"{name}.json"
    options = {"--columns": asked.columns, "--limit": asked.limit, "--answers": asked.answers}
    words = [word for option, value in options.items() if value is not None for word in (option, str(value))]
    dtype = str(run.recipe.train.get("dtype", "auto"))
    line = ("evaluate", target, "--data", asked.rows, *words, "--dtype", dtype, "--out", str(file))
    return Job(name, Stage(f"measure {name}", line, writes=(file,)), run.recipe, target)


@dataclass(frozen=True)
class Did:
    """What became of a job: skipped, done, failed or stopped; and why."""

    job: Job
    state: str
    why: str = ""
    seconds: float = 0.0


class Doing:
    """The jobs of a comparison, and how far they are.

    Args:
        agenda: the plan.
        out: the folder, which nobody else may be working in.
        asked: rows to measure on.
    """

    def __init__(self, agenda: Agenda, out: Path, asked: Asked | None) -> None:
        self.agenda, self.out = settled(agenda, out), out
        self.jobs = jobs(self.agenda, out, asked)
        self.problems: dict[str, str] = {}
        for folder in ("recipes", "measured"):
            (out / folder).mkdir(exist_ok=True)
        agenda.shared.write(out / "rows")
        for run in self.agenda.runs:
            file, text = out / "recipes" / f"{run.name}.toml", dump(run.recipe)
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                write_text(file, text)
        self.work = Work(Stages(out, out, tuple(job.stage for job in self.jobs)))

    def __iter__(self) -> Iterator[tuple[Job, Verdict]]:
        """The jobs in turn, and whether each has to be done; without the measurement of a run that failed."""
        for job in self.jobs:
            if job.name not in self.problems:
                yield job, self.work.verdict(job.stage)

    def skip(self, job: Job) -> Did:
        """Leave out a job whose result is there."""
        self.work.skip(job.stage)
        return Did(job, "skipped", seconds=self.work.record.stages[job.stage.name].seconds)

    def do(self, job: Job, work: Callable[[Recipe, bool], int]) -> Did:
        """Do a job.

        Args:
            job: which.
            work: what is done in a process of its own: trains a recipe, going on or from the start.
        """
        begun = self.work.begin(job.stage)
        start = time.monotonic()
        ended, problem = apart(lambda: work(job.recipe, "--resume" in begun.words))
        seconds = time.monotonic() - start
        stopped = ended.code == STOPPED or (ended.asked and ended.code != 0)
        state = "stopped" if stopped else "failed" if ended.code else "done"
        self.work.end(job.stage, {"stopped": "interrupted"}.get(state, state), seconds)
        if state == "failed":
            self.problems[job.name] = problem
        if ended.asked and state == "done":
            return Did(job, "stopped", "it is done", seconds)
        return Did(job, state, problem, seconds)


def measure(job: Job, asked: Asked, progress: Callable[[str, int, int], None]) -> int:
    """Measure a model on the rows asked for, and write what was found. To be run in a process of its own."""
    from espalier.evaluation.evaluate import evaluate
    from espalier.rows import read
    from espalier.run import load

    rows = list(read(asked.rows, columns=asked.columns, limit=asked.limit))
    options = job.recipe.train_options
    rendering = {"template": job.recipe.render_options.template, "thinking": job.recipe.render_options.thinking}
    loaded = load(job.target, device=options.device, dtype=options.dtype, options=rendering)
    found = evaluate(
        loaded.policy, rows, loaded.renderer, name=job.name, answered=asked.answers, max_tokens=LONGEST,
        seed=options.seed, progress=progress,
    )  # fmt: skip
    [file] = job.stage.writes
    write_text(file, json.dumps(found.to_dict(), ensure_ascii=False, indent=1))
    return 0


def measurable(asked: Asked) -> None:
    """Refuse rows on which nothing can be measured.

    Raises:
        EspalierError: why not.
    """
    from espalier.errors import RowError
    from espalier.evaluation.cases import case_of
    from espalier.rows import read

    reason = "there are none"
    for row in read(asked.rows, columns=asked.columns, limit=asked.limit):
        try:
            case_of(row)
        except RowError as error:
            reason = str(error)
            continue
        return
    raise RowError(f"{asked.rows}: no row can be measured: {reason}.")
