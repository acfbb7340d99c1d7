"""`espalier review`: two models' answers compared by their user, blind; and questions looked through."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espalier import console
from espalier.cli.curating import check_place, reasons
from espalier.cli.options import Columns, Dtype, Limit, Threads
from espalier.cli.serving import needed
from espalier.console import Fact, visible
from espalier.errors import RecipeError, RowError
from espalier.evaluation.wording import share

if TYPE_CHECKING:
    from espalier.contracts import Row
    from espalier.reviewing.ballot import Result
    from espalier.reviewing.server import Desk


def review(
    first: Annotated[
        str,
        typer.Argument(metavar="A", help="A run, a model, http://HOST:PORT/v1:NAME, or a file with answers."),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="The other.")],
    data: Annotated[
        str | None, typer.Option(metavar="ROWS", help="Prompts or questions; those of A, if it is a file.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FILE.jsonl", help="The votes, as pairs to train on.")] = Path(
        "votes.jsonl"
    ),
    columns: Columns = None,
    limit: Limit = None,
    temperature: Annotated[float, typer.Option(min=0.0, metavar="X", help="Of models that answer.")] = 0.0,
    max_tokens: Annotated[int, typer.Option(min=1, metavar="N", help="Longest answer.")] = 512,
    seed: Annotated[int, typer.Option(metavar="N", help="Of which answer stands left.")] = 0,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Of the page; 0 takes a free one.")] = 0,
    key_variable: Annotated[
        str | None, typer.Option(metavar="NAME", help="The environment variable with the servers' API key.")
    ] = None,
    dtype: Dtype = "auto",
    threads: Threads = None,
) -> None:
    """Say which of two answers is better, blind, in the browser.

    Keys 1 and 2 choose, 0 is a tie, u takes the last vote back. Each vote is written at once, and the same command goes
    on where it was ended. Ctrl-C ends it and tells how often A was preferred.
    """
    from espalier.reviewing.answers import is_file
    from espalier.reviewing.ballot import Ballot, ballot_file

    needed()
    if out.suffix != ".jsonl":
        raise RecipeError(f"--out {out}: rows are written as JSON lines; name a file that ends in .jsonl.")
    if not ballot_file(out).exists():
        check_place(out)
    if data is None and not is_file(first):
        raise RecipeError("no prompts given. Name rows: --data ROWS.")
    options = {"temperature": temperature, "max_tokens": max_tokens, "seed": seed}
    about = {"first": first, "second": second, "data": data, "columns": columns, "limit": limit, **options}
    answered: list[Row] = []
    if not ballot_file(out).exists():
        answered = answers(
            (first, second), data or first, out, about, columns=columns, limit=limit, key_variable=key_variable,
            dtype=dtype, options=options,
        )  # fmt: skip
    ballot = Ballot(out, (first, second), answered, about, seed=seed)
    show(ballot, port=port)
    console.facts(console.make(), outcome(ballot.result(), first, second, out))


def answers(
    names: tuple[str, str], data: str, out: Path, about: dict[str, Any], *, columns: str | None, limit: int | None,
    key_variable: str | None, dtype: str, options: dict[str, Any],
) -> list[Row]:  # fmt: skip
    """Both answers to every prompt; Ctrl-C leaves what is done for the next time.

    Raises:
        KeyboardInterrupt: it was stopped.
        RowError: no row has two answers.
    """
    from espalier.answering import Answering, stamp
    from espalier.cli.progress import Progress
    from espalier.cli.stopping import stops_in_order
    from espalier.collecting import Work, collect
    from espalier.reviewing.answers import Both, asking, is_file, written

    rows = asking(data, columns=columns, limit=limit)
    partial, screen = out.with_name(f"{out.name}.partial"), console.make()
    with Answering(key_variable=key_variable, dtype=dtype) as answering:
        sides = tuple(written(name, columns=columns) if is_file(name) else answering.open(name) for name in names)

        def tell(done: int, total: int) -> None:
            event: Any = SimpleNamespace(kind="sampling", values={"text": "answers", "done": done, "total": total})
            progress(event)

        with Progress(screen) as progress, stops_in_order(lambda: True) as stop:
            work = Work(answering.workers, answering.spent, tell, stop)
            known = {**about, "models": [stamp(name) for name in names]}
            found = collect(Both(sides, **options), rows, partial, known, work)
    if not found.finished:
        print(f"\n{found.done:,} of {len(rows):,} are answered; the same command goes on from here.", file=sys.stderr)
        raise KeyboardInterrupt
    partial.unlink(missing_ok=True)
    lost = [visible(reason) for reason in reasons(found.dropped)]
    if not found.kept:
        raise RowError(f"{data}: no row has two answers: {'; '.join(lost)}.")
    console.facts(screen, [("left out", reason) for reason in lost])
    return found.kept


def look_through(file: Path, *, port: int = 0) -> None:
    """Accept, edit and refuse the questions in a file.

    Args:
        file: what `espalier questions` wrote.
        port: of the page.

    Raises:
        EspalierError: it is no such file.
    """
    from espalier.reviewing.questions import Questions

    needed()
    if not file.is_file():
        raise RowError(f"there is no file {file}; write it first: espalier questions KB --lm MODEL --out {file}.")
    desk = Questions(file)
    show(desk, port=port)
    counts = desk.counts()
    facts: list[Fact] = [("reviewed", ", ".join(f"{count:,} {name}" for name, count in counts.items()))]
    facts.append(("questions", f"{len(desk.rows) - counts['refused']:,} in {visible(str(file))}"))
    if counts["left"]:
        facts.append(("go on", console.command("questions", "--review", file)))
    console.facts(console.make(), facts)


def show(desk: Desk, *, port: int) -> None:
    """Show a page until Ctrl-C, in the browser if there is a screen."""
    from espalier.reviewing.server import serve

    def ready(address: str) -> None:
        out = console.make()
        console.facts(out, [("page", address), ("", "for you alone; Ctrl-C here ends it, all you do is saved at once")])
        out.file.flush()
        if sys.stdout.isatty() and (sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY")):
            webbrowser.open(address)

    serve(desk, port=port, ready=ready)


def outcome(found: Result, first: str, second: str, out: Path) -> list[Fact]:
    """What votes amount to, in words."""
    counts = f"{found.wins:,} for {first}, {found.losses:,} for {second}, ties: {found.ties:,}"
    facts: list[Fact] = [("votes", visible(counts))]
    if found.same:
        facts.append(("", f"not asked, for both answers are the same: {found.same:,}"))
    if found.rate is not None:
        low, high = share(found.rate.low), share(found.rate.high)
        rate = f"{share(found.rate.value)} of the votes for either are for {first}, 95 % interval {low} to {high}"
        facts += [("result", visible(rate)), ("pairs", visible(str(out)))]
    if found.left:
        facts.append(("left", f"{found.left:,}; the same command goes on"))
    return facts
