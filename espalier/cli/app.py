"""The verbs and what each says about itself; what is heavy is imported inside them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer

from espalier import __version__, console
from espalier.cli import methods as catalogue
from espalier.cli.arguments import guessed, named, recipe_of, resumed, take_apart
from espalier.cli.asking import ask, index, search
from espalier.cli.comparing import USAGE as COMPARED
from espalier.cli.comparing import compare
from espalier.cli.curating import CURATE, curate
from espalier.cli.estimating import ESTIMATE, estimate
from espalier.cli.exporting import export
from espalier.cli.options import Against, Columns, Data, Dtype, Folder, Limit, Model, Start, Target, Threads
from espalier.cli.questioning import questions
from espalier.cli.reviewing import review
from espalier.cli.serving import serve
from espalier.cli.sprouting import sprout
from espalier.errors import RecipeError
from espalier.train.options import TrainOptions

app = typer.Typer(
    help="Tune, align, measure and talk to open language models.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(sprout, name="sprout")
OPEN = {"ignore_unknown_options": True, "allow_extra_args": True}  # options of a recipe are taken as they come
USAGE = "[METHOD | RECIPE.toml] [OPTIONS] [NAME=VALUE]..."
EPILOG = (
    "Every option of a recipe works here, as --name value or name=value: those of the objective and the adapter "
    "(`espalier show dpo` lists them) and those of training (`espalier show train` explains them): "
    f"{', '.join(option.name for option in dataclasses.fields(TrainOptions))}."
)


@app.callback(invoke_without_command=True)
def top(
    ctx: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False
) -> None:
    """Tune, align, measure and talk to open language models."""
    if version:
        print(__version__)
    elif ctx.invoked_subcommand is None:
        print(ctx.get_help())


@app.command(context_settings=OPEN, options_metavar=USAGE, epilog=EPILOG)
def check(
    ctx: typer.Context,
    model: Model = None,
    data: Data = None,
    start: Start = None,
    columns: Columns = None,
    limit: Limit = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the audit as JSON.")] = False,
) -> None:
    """Look at the rows before training: what is read and trained.

    This takes seconds and loads no weights. METHOD is what the rows are for (sft, dpo, ...); it is guessed if left out.
    """
    given = named(model=model, data=data, columns=columns, limit=limit, out="-", **{"from": start})
    recipe = recipe_of(guessed(take_apart(ctx.args), given), given)
    from espalier.planning import check as audited

    audit = audited(recipe)
    if as_json:
        print(json.dumps(dataclasses.asdict(audit), ensure_ascii=False, indent=1))
    else:
        console.print_audit(console.make(), audit)
    audit.refuse(accept_dropped=recipe.train_options.accept_dropped)


@app.command(context_settings=OPEN, options_metavar=USAGE, epilog=EPILOG)
def train(
    ctx: typer.Context,
    model: Model = None,
    data: Data = None,
    out: Annotated[str | None, typer.Option(metavar="RUN", help="The folder of the run, made new.")] = None,
    start: Start = None,
    eval_data: Annotated[
        str | None, typer.Option(metavar="ROWS", help="Rows to evaluate on, instead of a part of the others.")
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(metavar="lora|full", help="What is trained: an adapter, or every weight.")
    ] = None,
    columns: Columns = None,
    learning_rate: Annotated[float | None, typer.Option(metavar="X", help="From the objective's preset.")] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", help="Examples per optimizer step. From the preset.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(metavar="X", help="Passes over the rows. From the preset.")] = None,
    max_steps: Annotated[int | None, typer.Option(metavar="N", help="Stop after so many optimizer steps.")] = None,
    limit: Limit = None,
    accept_dropped: Annotated[
        bool, typer.Option("--accept-dropped", help="Go on though many rows are dropped.")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
) -> None:
    """Train a model, and measure what it gained.

    METHOD is sft, dpo, ... (`espalier methods objectives`); without one, what the rows are for.
    """
    given = named(
        model=model, data=data, out=out, eval_data=eval_data, adapter=adapter, columns=columns,
        learning_rate=learning_rate, batch_size=batch_size, epochs=epochs, max_steps=max_steps, limit=limit,
        accept_dropped=accept_dropped or None, **{"from": start},
    )  # fmt: skip
    words = take_apart(ctx.args)
    recipe = resumed(words, given) if resume else recipe_of(guessed(words, given), given)
    from espalier.cli.training import train as watched

    if not watched(recipe, resume=resume):
        raise KeyboardInterrupt


@app.command(context_settings=OPEN, options_metavar="RECIPE.toml [OPTIONS] [NAME=VALUE]...")
def run(
    ctx: typer.Context,
    start: Annotated[
        str | None, typer.Option("--from", metavar="STAGE", help="Run this stage and those behind it again.")
    ] = None,
    only: Annotated[str | None, typer.Option(metavar="STAGE", help="Leave the other stages out.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would run and why, and do nothing.")] = False,
) -> None:
    """Run the stages of a recipe, each skipped if nothing changed.

    NAME=VALUE overrides the recipe's out and [values]. The same command again goes on where the last one ended.
    """
    from espalier.cli import running

    words = take_apart(ctx.args)
    if words.what is None:
        raise RecipeError("no recipe given. Name its file: `espalier run RECIPE.toml`.")
    code = running.run(words.what, words.overrides, start=start, only=only, dry_run=dry_run)
    raise typer.Exit(code)


app.command(context_settings=OPEN, options_metavar=COMPARED, epilog=EPILOG)(compare)
app.command(**CURATE)(curate)


@app.command()
def evaluate(
    targets: Annotated[
        list[str], typer.Argument(metavar="TARGET...", help="A run, an adapter, a model folder or a Hugging Face id.")
    ],
    data: Annotated[str, typer.Option(metavar="ROWS", help="Rows that the model has not seen.")],
    against: Against = None,
    conditions: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="What questions are asked with: given, closed, index, distractors=N."),
    ] = None,
    closed_book: Annotated[bool, typer.Option("--closed-book", help="Ask questions without passages.")] = False,
    index: Annotated[
        Path | None, typer.Option(metavar="KB", help="Ask questions with passages retrieved from this index.")
    ] = None,
    k: Annotated[int, typer.Option("--k", min=1, metavar="N", help="How many passages are retrieved.")] = 4,
    by: Annotated[str | None, typer.Option(metavar="COLUMN", help="Split every number by its values.")] = None,
    columns: Columns = None,
    limit: Limit = None,
    max_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Longest answer that is generated.")] = 256,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the intervals.")] = 0,
    metrics: Annotated[str | None, typer.Option(metavar="NAME,...", help="Print only these numbers.")] = None,
    dtype: Dtype = "auto",
    threads: Threads = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write everything here too.")] = None,
) -> None:
    """Measure a model on rows, alone or against another.

    Each number has a 95 % interval; with --against, so has each difference. Several targets, or several conditions,
    make a table: each is compared with the first target, and --out writes a page beside the file.
    """
    from espalier.cli.evaluating import Asking
    from espalier.cli.evaluating import evaluate as measured

    asking = Asking(closed_book, index, k, conditions)
    measured(
        targets, data, against, columns, asking=asking, limit=limit, out=out, metrics=metrics, dtype=dtype,
        max_tokens=max_tokens, seed=seed, by=by,
    )  # fmt: skip


@app.command()
def chat(
    target: Target,
    against: Against = None,
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="A system message.")] = None,
    temperature: Annotated[float, typer.Option(min=0.0, metavar="X", help="0 always takes the likeliest token.")] = 0.7,
    max_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Longest answer.")] = 512,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same answers.")] = 0,
    threads: Threads = None,
) -> None:
    """Talk to a model, or to two at once.

    It sees what you type as it saw its training rows. /reset forgets, /quit leaves, Ctrl-C stops an answer.
    """
    from espalier.cli.chat import talk

    talk(target, against, system=system, temperature=temperature, max_tokens=max_tokens, seed=seed)


app.command()(export)
app.command(**ESTIMATE)(estimate)


app.command()(index)
app.command()(search)
app.command()(ask)
app.command()(questions)
app.command()(review)
app.command()(serve)


@app.command()
def report(run: Folder) -> None:
    """Write a run's report again, and say what it says."""
    from espalier.evaluation.report import write_report
    from espalier.evaluation.wording import outcome
    from espalier.run import Run

    print(write_report(run))
    print(outcome(Run.open(run).read("evaluation.json", {})))


@app.command()
def methods(
    family: Annotated[
        str | None, typer.Argument(metavar="[FAMILY]", help="Only this family.", autocompletion=catalogue.families)
    ] = None,
    rows: Annotated[
        str | None, typer.Option("--for", metavar="ROWS", help="Say which objectives these rows are good for.")
    ] = None,
    columns: Columns = None,
) -> None:
    """List the methods: address, paper, what it does.

    With --for, say in five lines what rows are, which objectives can use them, which first, and why.
    """
    if rows is not None:
        catalogue.print_advice(console.make(), rows, family, columns)
    else:
        catalogue.print_methods(console.make(), family)


@app.command()
def show(
    method: Annotated[
        str, typer.Argument(metavar="METHOD", help="A method, or `train`.", autocompletion=catalogue.names)
    ],
) -> None:
    """Explain a method: its options, presets and paper."""
    catalogue.print_method(console.make(), method)


@app.command()
def doctor() -> None:
    """Say what is installed, what is missing and how fast this is."""
    from espalier.doctor import examine

    examine(console.make())
