"""`espalier curate`: rows made from rows by any curator, as their user watches it."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from espalier import console
from espalier.cli.arguments import use_threads
from espalier.cli.curators import Asked, Checked
from espalier.console import visible
from espalier.contracts import Row
from espalier.curating import EachRow, prompted
from espalier.errors import RecipeError, RowError, RunError
from espalier.evaluation.wording import duration
from espalier.scoring import Nobody

if TYPE_CHECKING:
    from espalier.answering import Answering
    from espalier.rows import Dropped, Rows

CURATE: dict[str, Any] = {
    "cls": Checked,
    "context_settings": {"ignore_unknown_options": True, "allow_extra_args": True},
    "options_metavar": "METHOD [OPTIONS] [NAME=VALUE]...",
    "epilog": "Every option of the method works here, as --name value or name=value (`espalier show best_of_n` lists "
    "them), and those of a scorer as scorer.name=value. A server's key is read from the environment: OPENAI_API_KEY "
    "for OpenAI's own address, and what --key-variable names for any other.",
}  # of the command


def curate(
    ctx: typer.Context,
    data: Annotated[str, typer.Option(metavar="ROWS", help="A file or folder of rows, or a dataset's id.")],
    out: Annotated[Path, typer.Option(metavar="FILE.jsonl", help="The rows that are made; it must not exist.")],
    lm: Annotated[
        list[str] | None,
        typer.Option(
            "--lm",
            "--model",
            metavar="MODEL",
            help="Who answers: a run, a model folder, a hub id, or http://HOST:PORT/v1:NAME. Several are repeated.",
        ),
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="exact_answer, rating, pairwise, a reward model, or a model that rates."),
    ] = None,
    judge: Annotated[str | None, typer.Option(metavar="MODEL", help="Whom rating or pairwise asks.")] = None,
    columns: Annotated[
        str | None, typer.Option(metavar="FIELD=COLUMN,...", help="Which column of the rows is which field.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Read only so many rows.")] = None,
    key_variable: Annotated[
        str | None, typer.Option(metavar="NAME", help="The environment variable with the servers' API key.")
    ] = None,
    dtype: Annotated[str, typer.Option(metavar="TYPE", help="float32, bfloat16, or auto: measured here.")] = "auto",
    threads: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="CPU threads; the physical cores.", callback=use_threads)
    ] = None,
) -> None:
    """Make rows: sample answers, score them, keep the best.

    METHOD is best_of_n, binarize, ... (`espalier methods selection` and `synthesis` list them). The same command again
    goes on where it was stopped. With emit=both, pairs go to a file of their own.
    """
    from espalier.answering import Answering
    from espalier.rows import read

    asked: Asked = ctx.obj
    source = read(data, columns=columns, limit=limit)
    with Answering(key_variable=key_variable, dtype=dtype) as answering:
        watched = Watched(asked, source, out, answering)
        watched.open(lm or [], judge)
        watched.collect()
        watched.write()


class Watched:
    """One command while it runs."""

    def __init__(self, asked: Asked, source: Rows, out: Path, answering: Answering) -> None:
        if out.suffix != ".jsonl":
            raise RecipeError(f"--out {out}: rows are written as JSON lines; name a file that ends in .jsonl.")
        self.asked, self.source, self.out, self.answering = asked, source, out, answering
        self.partial = out.with_name(f"{out.name}.partial")
        self.screen, self.begun = console.make(), time.monotonic()

    def open(self, lms: Sequence[str], judge: str | None) -> None:
        """Read the rows and open what is asked; nothing is written."""
        from espalier.answering import stamp
        from espalier.scoring import Counted, open_scorer

        asked = self.asked
        answers = [("answers", name) for name in lms]
        scores = [("scores", name) for name in (asked.scorer, judge) if name]
        emits = asked.built([Nobody() for _ in lms], Nobody() if asked.scorer else None)
        self.files = [self.out, *([pairs_file(self.out)] if getattr(emits, "emit", "") == "both" else [])]
        for file in self.files:
            check_place(file)
        self.rows = [prompted(row) for row in self.source]
        console.facts(
            self.screen, [("data", visible(self.source.detected)), ("method", described(asked)), *answers, *scores]
        )
        scorer = None
        if asked.scorer is not None:
            scorer = Counted(open_scorer(asked.scorer, judge, asked.scorer_options, self.answering))
        self.curator = asked.built([self.answering.open(name) for name in lms], scorer)
        self.scorer = scorer
        names = [name for name in (*lms, asked.scorer, judge) if name]
        self.about = {"method": described(asked), "scorer": asked.scorer_options, "models": list(map(stamp, names))}

    def collect(self) -> None:
        """Make the rows that are not made yet; Ctrl-C leaves what is done for the next time.

        Raises:
            KeyboardInterrupt: it was stopped.
        """
        from espalier.cli.progress import Progress
        from espalier.cli.stopping import stops_in_order
        from espalier.collecting import Work, collect

        made = 0

        def tell(done: int, total: int) -> None:
            nonlocal made
            made = done
            event: Any = SimpleNamespace(kind="sampling", values={"text": "rows", "done": done, "total": total})
            progress(event)  # the loop's own class would bring torch with it

        try:
            with Progress(self.screen) as progress, stops_in_order(lambda: True) as stop:
                work = Work(self.answering.workers, self._spent, tell, stop)
                self.found = collect(self.curator, self.rows, self.partial, self.about, work)
            if not self.found.finished:
                raise KeyboardInterrupt
        except BaseException:
            if made:
                go_on = console.command(*self.asked.words)
                print(f"\n{made:,} of {len(self.rows):,} rows are done; go on with: {go_on}", file=sys.stderr)
            raise

    def write(self) -> None:
        """Write what was kept, and say what came of the rows.

        Raises:
            RowError: nothing was kept.
        """
        from espalier.collecting import write_rows

        kept, lost = self.found.kept, reasons(self.found.dropped)
        if not kept:
            self.partial.unlink(missing_ok=True)
            raise RowError(f"{self.source.name}: of {len(self.rows):,} rows nothing is kept: {'; '.join(lost)}.")
        parts = [kept]
        if len(self.files) > 1:
            parts = [[row for row in kept if ("chosen" in row) == pairs] for pairs in (False, True)]
        for file, part in zip(self.files, parts, strict=True):
            write_rows(file, part)
        self.partial.unlink(missing_ok=True)
        self._summary(parts, lost)

    def _summary(self, parts: Sequence[Sequence[Row]], lost: Sequence[str]) -> None:
        told = self.curator.told(self.found.kept) if isinstance(self.curator, EachRow) else []
        spent, took = self.found.spent, duration(time.monotonic() - self.begun)
        facts: list[console.Fact] = [
            ("kept", f"{len(part):,} rows in {file}") for file, part in zip(self.files, parts, strict=True)
        ]
        facts += [("dropped", visible(reason)) for reason in lost]
        if unscored := spent["unscored"]:
            facts.append(
                (
                    "no score",
                    f"{unscored:,} of {unscored + spent['scored']:,} completions, counted as unknown and not as 0",
                )
            )
        if spent["calls"] or spent["hits"]:
            cached = f", {spent['hits']:,} answers from the cache" if spent["hits"] else ""
            facts.append(("tokens", f"{spent['prompt_tokens']:,} read, {spent['completion_tokens']:,} written{cached}"))
        facts += [("result", visible(line)) for line in told]
        self.screen.print()
        console.facts(self.screen, [*facts, ("took", took)])

    def _spent(self) -> Counter[str]:
        return self.answering.spent() + (self.scorer.counts if self.scorer else Counter[str]())


def pairs_file(out: Path) -> Path:
    """Where pairs go that come beside answers: rows.pairs.jsonl for rows.jsonl."""
    return out.with_name(f"{out.stem}.pairs{out.suffix}")


def check_place(file: Path) -> None:
    """Refuse a file that exists, or that has no folder.

    Raises:
        RunError: which.
    """
    if file.exists():
        raise RunError(f"{file} exists; name another file, or delete it.")
    if not file.absolute().parent.is_dir():
        raise RunError(f"{file}: there is no folder {str(file.parent)!r} to write into. Make it first.")


def described(asked: Asked) -> str:
    """The method with the options that were given."""
    return " ".join([asked.address, *(f"{name}={value}" for name, value in asked.options.items())])


def reasons(dropped: Sequence[Dropped]) -> list[str]:
    """Why rows and answers were left out, the commonest reason first, each with how many and the first of them."""
    first: dict[str, Dropped] = {}
    for lost in dropped:
        first.setdefault(lost.reason, lost)
    counts = Counter(lost.reason for lost in dropped).most_common()
    shown = [(count, first[reason]) for reason, count in counts]
    return [f"{count:,} {lost.reason} ({lost.detail or f'the first is {lost.where}'})" for count, lost in shown]
