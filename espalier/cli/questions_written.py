"""Questions written while their user watches: how far it is, what was dropped and why, what it took."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from espalier import console
from espalier.cli.curating import check_place, reasons
from espalier.console import Fact, visible
from espalier.contracts import Row
from espalier.errors import RecipeError, RunError
from espalier.evaluation.wording import duration
from espalier.scoring import Nobody

if TYPE_CHECKING:
    from espalier.answering import Answering
    from espalier.drawing import Drawing, Kind
    from espalier.synthesis.questions import Questions

HOPELESS = 20  # passages without a single question, after which the model is not asked any more


def write(
    kb: Path, lm: str, n: int, options: dict[str, Any], drawn: dict[str, Any], *, out: Path,
    key_variable: str | None = None, dtype: str = "auto",
) -> None:  # fmt: skip
    """Write questions, and say what came of it.

    Args:
        kb: the index.
        lm: who writes them.
        n: how many.
        options: of the method.
        drawn: which passages are asked about: options of `Drawing.of`.
        out: where to.
        key_variable: the environment variable with a server's key.
        dtype: what a model on this machine computes in.

    Raises:
        EspalierError: the index, the model or the file cannot be used, or no question is left.
    """
    from espalier.answering import Answering, stamp
    from espalier.catalogue import build
    from espalier.drawing import Drawing
    from espalier.knowledge.store import Store

    if out.suffix != ".jsonl":
        raise RecipeError(f"--out {out}: rows are written as JSON lines; name a file that ends in .jsonl.")
    check_place(out)
    with Store.open(kb) as store, Answering(key_variable=key_variable, dtype=dtype) as answering:
        build({"method": "synthesis/questions", "lm": Nobody(), **options})  # what cannot be is said at once
        drawing = Drawing.of(store, **drawn)
        screen = console.make()
        waiting = ", ".join(f"{len(numbers):,} in {lang}" for lang, numbers in sorted(drawing.waiting.items()))
        short = f"; {drawing.short:,} too short" if drawing.short else ""
        console.facts(screen, [("index", visible(f"{kb}: passages {waiting}{short}")), ("writes", visible(lm))])
        method: Questions = build({"method": "synthesis/questions", "lm": answering.open(lm), **options})
        about = {"method": "synthesis/questions", "options": options, "models": [stamp(lm)]}
        watched = Watched(method, drawing, n, out, about, answering)
        watched.collect(screen)
        watched.write(screen)


class Watched:
    """The command while it runs."""

    def __init__(
        self, method: Questions, drawing: Drawing, n: int, out: Path, about: dict[str, Any], answering: Answering
    ) -> None:
        self.method, self.drawing, self.n, self.out, self.about, self.answering = (
            method, drawing, n, out, about, answering,
        )  # fmt: skip
        self.partial = out.with_name(f"{out.name}.partial")
        self.rows: list[Row] = []
        self.asked: list[Row] = []
        self.begun = time.monotonic()

    def collect(self, screen: Any) -> None:
        """Ask about passages until there are enough questions; Ctrl-C leaves what is done for the next time.

        Raises:
            KeyboardInterrupt: it was stopped.
        """
        from espalier.cli.progress import Progress
        from espalier.cli.stopping import stops_in_order
        from espalier.collecting import Collected, Work, collect

        done = 0

        def tell(count: int, total: int) -> None:
            nonlocal done
            done = count
            event: Any = SimpleNamespace(kind="sampling", values={"text": "passages", "done": count, "total": total})
            progress(event)

        self.found: Collected = Collected()
        try:
            with Progress(screen) as progress, stops_in_order(lambda: True) as stop:
                work = Work(self.answering.workers, self.answering.spent, tell, stop)
                while more := self.drawing.more(self.n, self._kept()):
                    self.asked += more
                    self.found = collect(self.method, self.asked, self.partial, self.about, work)
                    if not self.found.finished:
                        raise KeyboardInterrupt
                    if not self.found.kept and len(self.asked) >= HOPELESS:
                        break
        except BaseException:
            if done:
                print(f"\n{done:,} passages are done; the same command goes on from here.", file=sys.stderr)
            raise

    def write(self, screen: Any) -> None:
        """Write the questions, and say what came of the passages.

        Raises:
            RunError: there are none.
        """
        from espalier.collecting import write_rows

        kept, lost = self.found.kept[: self.n], reasons(self.found.dropped)
        if not kept:
            self.partial.unlink(missing_ok=True)
            raise RunError(f"of {len(self.asked):,} passages none has a question that is any good: {'; '.join(lost)}.")
        self.rows = [Row({"id": f"q{number:04}", **row}, row.where) for number, row in enumerate(kept, 1)]
        write_rows(self.out, self.rows)
        self.partial.unlink(missing_ok=True)
        console.facts(screen, self._summary(lost))

    def _summary(self, lost: Sequence[str]) -> list[Fact]:
        kinds = Counter((row["gold_lang"], row["lang"]) for row in self.rows)
        shown = ", ".join(
            f"{count:,} {lang}" + (f" about {held}" if held != lang else "")
            for (held, lang), count in sorted(kinds.items())
        )
        documents = len({row["document"] for row in self.rows})
        facts: list[Fact] = [("questions", f"{len(self.rows):,} in {self.out}: {shown}; {documents:,} documents")]
        if len(self.rows) < self.n:
            facts.append(("", f"fewer than {self.n:,}: all {len(self.asked):,} passages that can be asked about were"))
        facts += [("dropped", visible(reason)) for reason in lost]
        spent = self.found.spent
        facts.append(("tokens", f"{spent['prompt_tokens']:,} read, {spent['completion_tokens']:,} written"))
        facts.append(("took", duration(time.monotonic() - self.begun)))
        return [*facts, ("next", console.command("questions", "--review", self.out))]

    def _kept(self) -> Counter[Kind]:
        return Counter((row["gold_lang"], row["lang"]) for row in self.found.kept)
