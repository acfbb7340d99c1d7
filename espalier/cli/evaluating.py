"""`espalier evaluate`: a model on rows, alone or beside another; or several under several conditions."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from espalier import console
from espalier.cli.grids import measure_grid
from espalier.cli.progress import Progress
from espalier.cli.targets import Opened, open_measured, reference_of
from espalier.contracts import Retriever
from espalier.errors import RecipeError, RunError, unknown
from espalier.evaluation.compare import Change, compare
from espalier.evaluation.conditions import Condition, parse_conditions, show_of
from espalier.evaluation.evaluate import evaluate as measure
from espalier.evaluation.grid import Asked, compare_groups
from espalier.evaluation.results import MEASURES, Evaluation, Metric
from espalier.evaluation.wording import number, signed, verdict
from espalier.rows import Rows, read
from espalier.run import write_text
from espalier.train.loop import Event

STYLES = {"gained": "bold green", "lost": "bold red"}


@dataclass(frozen=True)
class Asking:
    """How questions are asked, as it stands on the command line.

    Attributes:
        closed_book: show no passages.
        index: show passages retrieved from here.
        k: how many.
        conditions: several ways, each in turn.
    """

    closed_book: bool = False
    index: Path | None = None
    k: int = 4
    conditions: str | None = None

    def parsed(self) -> list[Condition]:
        """The conditions.

        Raises:
            RecipeError: they contradict each other.
        """
        if self.conditions is not None:
            found = parse_conditions(self.conditions)
            if self.closed_book:
                raise RecipeError("--closed-book and --conditions: name `closed` among the conditions instead.")
            if (self.index is not None) != (Condition("index") in found):
                raise RecipeError("--index KB and the condition `index` go together: give both or neither.")
            return found
        if self.closed_book and self.index is not None:
            raise RecipeError(
                "--closed-book shows no passages and --index does; to measure both: --conditions closed,index."
            )
        return [Condition("closed" if self.closed_book else "index" if self.index is not None else "given")]

    def table(self) -> dict[str, Any]:
        """For the JSON file."""
        return {"index": str(self.index), "k": self.k} if self.index is not None else {}


def evaluate(
    targets: Sequence[str],
    data: str,
    against: str | None,
    columns: str | None,
    *,
    asking: Asking,
    limit: int | None,
    out: Path | None,
    metrics: str | None = None,
    dtype: str = "auto",
    **options: Any,
) -> None:
    """Measure, print, and write what was found.

    Args:
        targets: what is measured; the first is what the others are compared with.
        data: the rows.
        against: what a single target is compared with, if anything.
        columns: which column is which field.
        asking: how questions are asked.
        limit: read only so many rows.
        out: a JSON file of everything.
        metrics: names of those to print, in their order; the file has all.
        dtype: what to compute in.
        options: of `espalier.evaluation.evaluate`.
    """
    screen, conditions, shown = console.make(), asking.parsed(), parse_metrics(metrics)
    several = len(targets) > 1 or len(conditions) > 1
    if several and against is not None:
        raise RecipeError("--against is for one target under one condition; of several, the first is compared with.")
    if out is not None and not out.absolute().parent.is_dir():
        raise RunError(f"{out}: there is no folder {str(out.parent)!r} to write into. Make it first.")
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(screen))
        source = read(data, columns=columns, limit=limit)
        rows = list(source)
        retriever = stack.enter_context(_opened(asking.index)) if asking.index is not None else None
        seed = int(options.get("seed", 0))
        asked = [(c, show_of(c, rows, retriever=retriever, k=asking.k, seed=seed)) for c in conditions]

        def tell(what: str, done: int, of: int) -> None:
            progress(Event("evaluating", 0, {"text": what, "done": done, "total": of}))

        how = {"about": asking.table(), "shown": shown, "dtype": dtype, "progress": tell, **options}
        if several:
            finish = measure_grid(targets, source.name, rows, asked, **how)
        else:
            finish = _measure(targets[0], rows, asked, against, **how)
    finish(screen, out)
    _print_dropped(screen, source)


def parse_metrics(text: str | None) -> tuple[str, ...]:
    """The names in "exact_match,f1".

    Raises:
        RecipeError: one does not exist.
    """
    names = [name.strip() for name in text.split(",")] if text is not None else []
    for name in names:
        if name not in MEASURES:
            raise RecipeError(unknown("metric", name, MEASURES))
    return tuple(dict.fromkeys(names))


def _measure(
    target: str,
    rows: Sequence[Mapping[str, Any]],
    asked: Asked,
    against: str | None,
    *,
    about: Mapping[str, Any],
    shown: Sequence[str],
    dtype: str,
    progress: Callable[[str, int, int], None],
    **options: Any,
) -> Callable[[Console, Path | None], None]:
    """Measure one model, or it and another; what prints and writes what was found."""
    [(condition, show)] = asked
    loaded, other = open_measured(target, against, dtype=dtype)
    reference = reference_of(loaded, other)

    def measured(model: Opened) -> Evaluation:
        how = {"reference": reference, "name": model.describe, "progress": progress, "show": show, **options}
        return measure(model.policy, rows, model.renderer, **how)

    after = measured(loaded)
    before = None if other is None else measured(other)
    changes = compare(before, after) if before is not None else []
    groups = compare_groups(before, after) if before is not None else {}

    def finish(screen: Console, out: Path | None) -> None:
        print_evaluation(screen, after, before, changes, shown)
        for group in after.groups:
            part = None if before is None or group not in before.groups else before.part(group)
            screen.print(Text(f"\n{options.get('by')}: {console.visible(group)}", "bold"))
            print_table(screen, after.part(group), part, groups.get(group, ()), shown)
        if out is not None:
            found = {
                "before": before and before.to_dict(),
                "after": after.to_dict(),
                "differences": list(map(asdict, changes)),
                "group_differences": {group: list(map(asdict, found)) for group, found in groups.items()},
                "condition": condition.name,
                **about,
            }
            write_text(out, json.dumps(found, ensure_ascii=False, indent=1))

    return finish


@contextmanager
def _opened(index: Path) -> Iterator[Retriever]:
    """An index of documents, ready to be searched."""
    from espalier.knowledge.store import Store
    from espalier.lexical import LexicalIndex

    with Store.open(index) as store:
        yield LexicalIndex.open(store)


def print_evaluation(
    out: Console, after: Evaluation, before: Evaluation | None, changes: Sequence[Change], shown: Sequence[str] = ()
) -> None:
    """Every number with its interval; beside another model, what differs."""
    if before is None:
        out.print(Text(after.model, "bold"))
    else:
        out.print(Text.assemble("before: ", (before.model, "bold"), "\nafter:  ", (after.model, "bold")))
    print_table(out, after, before, changes, shown)
    if changes:
        out.print(verdict([asdict(change) for change in changes]), soft_wrap=True)
    for reason, count in after.skipped.items():
        if count:
            out.print(f"{count:,} of {after.rows:,} rows: {reason}", soft_wrap=True)


def print_table(
    out: Console, after: Evaluation, before: Evaluation | None, changes: Sequence[Change], shown: Sequence[str] = ()
) -> None:
    """The numbers alone, or what differs: of the measures named in `shown`, or of all."""
    names = [name for name in shown or MEASURES if name in after.metrics]
    if before is None:
        head = ["", "value", "95 % interval", "rows"]
        rows = [_measured(name, after.metrics[name]) for name in names]
    else:
        head = ["", "before", "after", "change", "95 % interval", "rows", ""]
        rows = [_changed(change) for name in names for change in changes if change.measure == name]
    console.table(out, [[Text(cell, "dim") for cell in head], *rows], right=range(1, len(head) - 1))


def _print_dropped(out: Console, rows: Rows) -> None:
    for reason, count in Counter(dropped.reason for dropped in rows.dropped).items():
        out.print(f"could not be read: {count:,} ({reason})", soft_wrap=True)


def _measured(name: str, metric: Metric) -> list[str | Text]:
    return [MEASURES[name].title, number(metric.value), _between(metric.low, metric.high), f"{metric.n:,}"]


def _changed(change: Change) -> list[str | Text]:
    numbers = [number(change.before), number(change.after), signed(change.difference)]
    word = Text(change.word, STYLES.get(change.word, "dim"))
    return [change.name, *numbers, _between(change.low, change.high, signed), f"{change.n:,}", word]


def _between(low: float | None, high: float | None, say: Callable[[float], str] = number) -> str:
    return "" if low is None or high is None else f"{say(low)} to {say(high)}"
