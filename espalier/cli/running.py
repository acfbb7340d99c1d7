"""`espalier run`: the stages of a recipe as their user watches them, from the first check to where to look."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text

from espalier import console
from espalier.cli import STOPPED, main
from espalier.cli.arguments import guessed, named, recipe_of, take_apart
from espalier.errors import EspalierError, RecipeError, unknown
from espalier.evaluation.wording import duration
from espalier.stages.process import Ended, forked, preload
from espalier.stages.recipe import Stage, Stages, load_stages, within
from espalier.stages.record import locked
from espalier.stages.work import Verdict, Work

LOADERS = ("train", "evaluate", "ask", "curate")  # commands that open a model, and what they import for it
HEAVY = ("espalier.tuning", "espalier.opening", "peft", "transformers.models.llama.modeling_llama")
NO_STAGES = {"chat": "waits for what is typed", "run": "runs stages itself"}
Execute = Callable[[Sequence[str]], Ended]


def execute(words: Sequence[str]) -> Ended:
    """Run one command of espalier in a process of its own."""
    return forked(lambda: main(words))


def run(
    file: str,
    overrides: Sequence[str] = (),
    *,
    start: str | None = None,
    only: str | None = None,
    dry_run: bool = False,
    execute: Execute = execute,
) -> int:
    """Run the stages of a recipe that have to run.

    Args:
        file: the recipe.
        overrides: its values, as "name=value".
        start: run this stage and those behind it in any case.
        only: leave all stages out but this one.
        dry_run: say what would happen, and do nothing.
        execute: runs the words of a command.

    Returns:
        The exit code: that of the stage that failed, 130 when stopped.
    """
    recipe = load_stages(file, overrides)
    check(recipe)
    stages = [recipe.stage(only)] if only else list(recipe.stages)
    again = list(recipe.stages[recipe.stages.index(recipe.stage(start)) :]) if start else []
    again = [stage for stage in again if stage in stages]
    out = console.make()
    if dry_run:
        _announce(out, Work(recipe).verdicts(stages, again))
        return 0
    with locked(recipe.out):
        work = Work(recipe)
        work.again(again)
        go_on = console.command("run", file, *overrides, *(("--only", only) if only else ()))
        return _Watched(out, work, stages, execute, go_on).run()


def check(recipe: Stages) -> None:
    """Parse the command of every stage as the command line would.

    Raises:
        RecipeError: one of them could not run.
    """
    for stage in recipe.stages:
        try:
            _parse(stage, recipe.out)
        except EspalierError as error:
            raise RecipeError(f"{recipe.file}, stage {stage.name!r}: {error}") from None


def _parse(stage: Stage, out: Path) -> None:
    from espalier.cli.app import app

    command: Any = typer.main.get_command(app)
    context, path, words = command.context_class(command, info_name="espalier"), "espalier", list(stage.words)
    while hasattr(command, "commands"):
        name = words.pop(0) if words else ""
        if name not in command.commands:
            raise RecipeError(unknown("command", name, command.commands))
        command, path = command.commands[name], f"{path} {name}"
        if name in NO_STAGES:
            raise RecipeError(f"`{path}` is no stage: it {NO_STAGES[name]}.")
        if hasattr(command, "commands"):
            context = command.context_class(command, info_name=name, parent=context)
    try:
        context = command.make_context(path.rpartition(" ")[2], list(words), parent=context)
    except typer.Exit:
        raise RecipeError(f"`{path}` would only print its help.") from None
    except Exception as error:
        if not hasattr(error, "format_message"):  # of typer's usage errors, which have no common public class
            raise
        raise RecipeError(f"{error.format_message().rstrip('.')}. See `{path} --help`.") from None
    if stage.words[0] == "train" and not context.params["resume"]:
        _check_training(context, out)


def _check_training(context: Any, out: Path) -> None:
    """Refuse options that no part of a training recipe has; what earlier stages write need not be there yet."""
    words = take_apart(context.args)
    if words.what and words.what.endswith(".toml") and within(Path(words.what), out):
        return
    names = {"start": "from"}
    given = {names.get(name, name): value or None for name, value in context.params.items() if name != "resume"}
    if words.what is None and given["data"] and not Path(given["data"]).exists():
        return  # which objective is guessed is known once an earlier stage has written the rows
    given = named(**given)
    recipe_of(guessed(words, given), given)


def _announce(out: Console, verdicts: Sequence[Verdict]) -> None:
    """What would run, what not, and why."""
    for number, verdict in enumerate(verdicts, 1):
        word = "may run" if verdict.maybe else "runs" if verdict.runs else "skipped"
        _head(out, number, len(verdicts), verdict.stage, f"{word}: {verdict.why}")
        if verdict.runs:
            _typed(out, verdict.stage.words)


def _head(out: Console, number: int, count: int, stage: Stage, text: str) -> None:
    said = f"  {console.visible(text)}" if text else ""
    out.print(Text.assemble((f"{number} of {count}  {stage.name}", "bold"), said), soft_wrap=True)


def _typed(out: Console, words: Sequence[str]) -> None:
    out.print(Text(f"$ {console.visible(console.command(*words))}", style="dim"), soft_wrap=True)


class _Watched:
    """The stages of a recipe while they run."""

    def __init__(self, out: Console, work: Work, stages: Sequence[Stage], execute: Execute, go_on: str) -> None:
        self.out, self.work, self.stages, self.execute, self.go_on = out, work, stages, execute, go_on
        self.rows: list[tuple[str, str, str]] = []

    def run(self) -> int:
        """Run what has to run; the exit code."""
        begun = time.monotonic()
        verdicts = self.work.verdicts(self.stages)
        several = sum(verdict.runs and verdict.stage.words[0] in LOADERS for verdict in verdicts) > 1
        for number, stage in enumerate(self.stages, 1):
            verdict = self.work.verdict(stage)
            if not verdict.runs:
                self.work.skip(stage)
                took = duration(self.work.record.stages[stage.name].seconds)
                self.rows.append((stage.name, "skipped", f"took {took} when it ran"))
                _head(self.out, number, len(self.stages), stage, f"skipped: {verdict.why}")
                continue
            self.out.print()
            _head(self.out, number, len(self.stages), stage, stage.why)
            if stage.name in self.work.record.stages:
                self.out.print(f"again: {console.visible(verdict.why)}", soft_wrap=True)
            if several:
                from espalier.models.load import quietly

                with quietly():
                    preload(HEAVY)
            if code := self._stage(stage):
                return code
        self._summary(time.monotonic() - begun)
        return 0

    def _stage(self, stage: Stage) -> int:
        """Run one stage; 0 where the next may follow."""
        begun = self.work.begin(stage)
        for path, aside in begun.moved:
            self.out.print(f"{path} was there: it is {aside} now", soft_wrap=True)
        _typed(self.out, begun.words)
        start = time.monotonic()
        ended = self.execute(begun.words)
        seconds = time.monotonic() - start
        stopped = ended.code == STOPPED or (ended.asked and ended.code != 0)
        self.work.end(stage, "interrupted" if stopped else "failed" if ended.code else "done", seconds)
        self.rows.append((stage.name, "done", duration(seconds)))
        if not ended.code and not ended.asked:
            return 0
        how = _ending(stage.name, ended.code)
        print(f"\n{how} Go on with: {self.go_on}", file=sys.stderr, flush=True)
        return STOPPED if stopped else ended.code or STOPPED

    def _summary(self, seconds: float) -> None:
        """Which stages ran, how long they took, and where to look."""
        recipe = self.work.recipe
        self.out.print()
        console.table(self.out, [*self.rows, ("total", "", duration(seconds))])
        found = [path / "report.html" for stage in recipe.stages for path in stage.writes]
        reports = dict.fromkeys(path for path in [*found, Path(recipe.report)] if path.is_file())
        facts: list[console.Fact] = [("report", str(path)) for path in reports]
        if recipe.next:
            facts.append(("next", console.visible(recipe.next)))
        if facts:
            self.out.print()
            console.facts(self.out, facts)


def _ending(name: str, code: int) -> str:
    """How a stage ended, after which the next did not begin."""
    if code == 0:
        return f"stopped after stage {name!r}, which is done."
    if code == STOPPED:
        return f"stage {name!r} was stopped."
    if code > 128:
        killer = next((known.name for known in signal.Signals if known.value == code - 128), str(code - 128))
        memory = ", perhaps for want of memory" if killer == "SIGKILL" else ""
        return f"stage {name!r} was killed by {killer}{memory}."
    return f"stage {name!r} failed (exit code {code})."
