"""`espalier compare`: candidates on the same rows, trained one after the other, measured alike."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from espalier import console
from espalier.cli import STOPPED
from espalier.cli.arguments import Words, guessed, named, recipe_of, sort_out
from espalier.cli.comparing_searches import compare_searches, is_index
from espalier.cli.options import Columns, Data, Model
from espalier.comparison.candidates import Candidate, expand
from espalier.errors import EspalierError, RecipeError, RunError
from espalier.evaluation.wording import duration

if TYPE_CHECKING:
    from espalier.comparison.doing import Asked, Did, Doing, Job
    from espalier.comparison.results import Results
    from espalier.recipe import Recipe
    from espalier.train.loop import Event

USAGE = "METHOD|RECIPE.toml[:NAME=VALUE,...]... | KB PIPELINE... [OPTIONS] [NAME=VALUE]..."
Maybe = str | None


def compare(
    ctx: typer.Context,
    model: Model = None,
    data: Data = None,
    out: Annotated[Maybe, typer.Option(metavar="FOLDER", help="The folder of the comparison.")] = None,
    start: Annotated[Maybe, typer.Option("--from", metavar="RUN", help="Start all at this run's result.")] = None,
    vary: Annotated[
        list[str] | None, typer.Option(metavar="NAME=A,B,...", help="A setting's values; several are combined.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Policy tokens of each: one pass of the longest.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=20, metavar="N", help="Train each with so many seeds.")] = 1,
    measured_on: Annotated[
        Maybe, typer.Option("--eval", metavar="ROWS", help="Measure on these rows too; they decide who won.")
    ] = None,
    answers: Annotated[int, typer.Option(min=0, metavar="N", help="Answer so many of these rows.")] = 64,
    eval_limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Read only so many of them.")] = None,
    metric: Annotated[Maybe, typer.Option(metavar="NAME", help="The number that decides who won.")] = None,
    adapter: Annotated[Maybe, typer.Option(metavar="lora|full", help="What is trained.")] = None,
    columns: Columns = None,
    accept_dropped: Annotated[
        bool, typer.Option("--accept-dropped", help="Go on though many rows are dropped.")
    ] = False,
) -> None:
    """Train, or search, in several ways, and say which is best.

    All see the same rows in the same order and as many tokens. A candidate may have settings of its own: dpo:beta=0.5.
    One that fails is marked and the rest goes on; the same command again goes on where the last one ended. Options of
    `espalier train` count for all. With an index first, searches and ways to read are compared: espalier compare
    docs.kb --data questions.jsonl bm25 bm25+rm3.
    """
    what, overrides = sort_out(ctx.args)
    if what and is_index(what[0]):
        others = {
            "--vary": vary, "--tokens": tokens, "--seeds": seeds > 1, "--eval-limit": eval_limit, "--adapter": adapter,
            "--accept-dropped": accept_dropped, "--answers N (only --answers 0)": answers not in (0, 64),
        }  # fmt: skip
        code = compare_searches(
            what, overrides, data=data or measured_on, model=model or start, out=out, columns=columns, metric=metric,
            answers=answers > 0, refused=others, go_on=_typed(ctx),
        )  # fmt: skip
        raise typer.Exit(code)
    given = named(
        model=model, data=data, out=out, adapter=adapter, columns=columns, accept_dropped=accept_dropped or None,
        **{"from": start},
    )  # fmt: skip
    folder = _folder(out)
    if not what:
        what = [guessed(Words(None, overrides), given).what or ""]
    candidates = expand([word for word in what if word], vary or [])
    recipes = [(one, _recipe(one, overrides, given)) for one in candidates]
    asked, leading = _asked(measured_on, columns, eval_limit, answers), _metric(metric)
    raise typer.Exit(run(recipes, folder, asked, tokens=tokens, seeds=seeds, leading=leading, go_on=_typed(ctx)))


def _folder(out: str | None) -> Path:
    if out is None:
        raise RecipeError("no output folder given. Name a new folder for the comparison: --out FOLDER.")
    if (Path(out) / "run.json").exists():
        raise RunError(f"{out} is the folder of a run. Name another for the comparison: --out FOLDER.")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise RunError("espalier compare runs in one process and starts others itself; type it without torchrun.")
    return Path(out)


def _recipe(candidate: Candidate, overrides: Sequence[str], given: dict[str, Any]) -> Recipe:
    try:
        return recipe_of(Words(candidate.what, (*overrides, *candidate.settings)), given)
    except EspalierError as error:
        raise type(error)(f"{candidate.name}: {error}") from None


def _asked(rows: str | None, columns: str | None, limit: int | None, answers: int) -> Asked | None:
    from espalier.comparison.doing import Asked, measurable

    if rows is None:
        if limit is not None:
            raise RecipeError("--eval-limit is about the rows of --eval ROWS. Name them, or leave it out.")
        return None
    asked = Asked(rows, columns, limit, answers)
    measurable(asked)
    return asked


def _metric(name: str | None) -> str | None:
    from espalier.cli.evaluating import parse_metrics
    from espalier.evaluation.results import MEASURES

    [found] = parse_metrics(name) or (None,)
    if found is not None and not MEASURES[found].better:
        raise RecipeError(f"--metric {found}: neither more nor less of it is better, so nobody can win by it.")
    return found


def _typed(ctx: typer.Context) -> str:
    """The command as it was typed, options that typer knows behind the others."""
    words = list(ctx.args)
    for option in ctx.command.params:
        value = ctx.params.get(option.name or "")
        if value and value != option.default:
            for each in value if isinstance(value, list) else [value]:
                words += [option.opts[0]] if each is True else [option.opts[0], str(each)]
    return console.command("compare", *words)


def run(
    recipes: Sequence[tuple[Candidate, Recipe]],
    out: Path,
    asked: Asked | None,
    *,
    tokens: int | None = None,
    seeds: int = 1,
    leading: str | None = None,
    go_on: str = "",
) -> int:
    """Plan all, then train and measure each, then say what came of it.

    Args:
        recipes: the candidates.
        out: the folder of the comparison.
        asked: rows to measure on beside those held back.
        tokens: policy tokens of each run.
        seeds: runs of each candidate.
        leading: the measure that decides who won.
        go_on: the command that goes on, told where it is stopped.

    Returns:
        The exit code: 1 where a candidate is marked, 130 when stopped.
    """
    from espalier.cli.compared import print_agenda, print_results
    from espalier.comparison.doing import Doing
    from espalier.comparison.plan import plan
    from espalier.comparison.results import collect
    from espalier.stages.record import locked

    screen = console.make()
    agenda = plan(recipes, out, seeds=seeds, tokens=tokens)
    if asked is None and not agenda.shared.held:
        raise RecipeError("there are no rows to measure on. Give --eval ROWS, or an eval_share above 0.")
    print_agenda(screen, agenda)
    with locked(out, "compare", "--out FOLDER"):
        doing = Doing(agenda, out, asked)
        whole = _Watched(screen, doing, asked).run()
        found = collect(doing.agenda, doing.problems, out, asked.rows if asked else None, leading)
        print_results(screen, found)
        _write(screen, found, out)
    if not whole:
        print(f"\ngo on with: {go_on}", file=sys.stderr, flush=True)
        return STOPPED
    return 1 if found.problems else 0


class _Watched:
    """The jobs of a comparison while they are done."""

    def __init__(self, screen: Console, doing: Doing, asked: Asked | None) -> None:
        self.screen, self.doing, self.asked = screen, doing, asked

    def run(self) -> bool:
        """Do what is to be done; whether all of it was."""
        self._preload()
        for job, verdict in self.doing:
            if not verdict.runs:
                did = self.doing.skip(job)
                if not job.target:
                    self._head(job, f"skipped: {verdict.why}; took {duration(did.seconds)} when it ran")
                continue
            if not job.target:
                self.screen.print()
                self._head(job, "" if verdict.why == "it has not run yet" else f"again: {verdict.why}")
            did = self.doing.do(job, partial(self._work, job))
            self._told(did)
            if did.state == "stopped":
                return False
        return True

    def _preload(self) -> None:
        """Import what every process needs, once."""
        from espalier.cli.running import HEAVY
        from espalier.models.load import quietly
        from espalier.stages.process import preload

        with quietly():
            preload(HEAVY)

    def _head(self, job: Job, text: str) -> None:
        names = [run.name for run in self.doing.agenda.runs]
        place = f"{names.index(job.name) + 1} of {len(names)}  {job.name}"
        self.screen.print(Text.assemble((place, "bold"), f"  {console.visible(text)}" if text else ""), soft_wrap=True)

    def _told(self, did: Did) -> None:
        if did.state == "failed":
            self.screen.print(Text.assemble((f"{did.job.name} failed: ", "bold red"), console.visible(did.why)))
        elif did.state == "done" and not did.job.target:
            self.screen.print(f"{did.job.name} is done, in {duration(did.seconds)}")

    def _work(self, job: Job, recipe: Recipe, resume: bool) -> int:
        """What a process of its own does: train, or measure."""
        from espalier.cli.progress import Progress
        from espalier.cli.stopping import stops_in_order
        from espalier.comparison.doing import measure
        from espalier.train.loop import Event
        from espalier.tuning import train

        with Progress(console.make()) as progress:
            if job.target:
                assert self.asked is not None, "measured only on rows that are asked for"

                def tell(what: str, done: int, of: int) -> None:
                    progress(Event("evaluating", 0, {"text": f"{job.name}: {what}", "done": done, "total": of}))

                return measure(job, self.asked, tell)

            def listen(event: Event) -> None:
                if event.kind != "audit":  # it was shown, once for all
                    progress(event)

            with stops_in_order(lambda: progress.training) as stop:
                return 0 if train(recipe, resume=resume, listen=listen, stop=stop).state == "finished" else STOPPED


def _write(screen: Console, found: Results, out: Path) -> None:
    """compare.json, compare.html, and what to look at next."""
    from espalier.comparison.page import html
    from espalier.run import write_text

    write_text(out / "compare.json", json.dumps(found.to_dict(), ensure_ascii=False, indent=1, default=str))
    write_text(out / "compare.html", html(found, seed=found.agenda.runs[0].seed))
    facts: list[console.Fact] = [("page", str(out / "compare.html")), ("numbers", str(out / "compare.json"))]
    if finished := [ones[0].folder for ones in found.trained.values() if ones]:
        facts.append(("talk", console.command("chat", finished[-1], "--against", finished[0])))
    screen.print()
    console.facts(screen, facts)
