"""`espalier evaluate`: a model on rows, alone or beside another."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from espalier import console
from espalier.cli.progress import Progress
from espalier.cli.targets import open_targets
from espalier.evaluation.compare import Change, compare
from espalier.evaluation.evaluate import evaluate as measure
from espalier.evaluation.results import MEASURES, Evaluation, Metric
from espalier.evaluation.wording import number, signed, verdict
from espalier.rows import read
from espalier.run import Loaded, write_text
from espalier.train.loop import Event

STYLES = {"gained": "bold green", "lost": "bold red"}


def evaluate(
    target: str,
    data: str,
    against: str | None,
    columns: str | None,
    *,
    limit: int | None,
    out: Path | None,
    **options: Any,
) -> None:
    """Measure, print, and write what was found.

    Args:
        target: what is measured.
        data: the rows.
        against: what it is compared with, if anything.
        columns: which column is which field.
        limit: read only so many rows.
        out: a JSON file of everything: both evaluations and the differences.
        options: of `espalier.evaluation.evaluate`.
    """
    screen = console.make()
    with Progress(screen) as progress:
        rows = list(read(data, columns=columns, limit=limit))
        loaded, other = open_targets(target, against)
        same = other is not None and other.renderer.key == loaded.renderer.key
        reference = loaded.base if other is None else other.policy if same else None

        def tell(what: str, done: int, of: int) -> None:
            progress(Event("evaluating", 0, {"text": what, "done": done, "total": of}))

        def measured(model: Loaded) -> Evaluation:
            how = {"reference": reference, "name": model.describe, "progress": tell, **options}
            return measure(model.policy, rows, model.renderer, **how)

        after = measured(loaded)
        before = None if other is None else measured(other)
    changes = compare(before, after) if before is not None else []
    print_evaluation(screen, after, before, changes)
    if out is not None:
        found = {
            "before": before and before.to_dict(),
            "after": after.to_dict(),
            "differences": list(map(asdict, changes)),
        }
        write_text(out, json.dumps(found, ensure_ascii=False, indent=1))


def print_evaluation(out: Console, after: Evaluation, before: Evaluation | None, changes: Sequence[Change]) -> None:
    """Every number with its interval; beside another model, what differs."""
    if before is None:
        head = ["", "value", "95 % interval", "rows"]
        rows = [_measured(name, metric) for name, metric in after.metrics.items()]
        out.print(Text(after.model, "bold"))
    else:
        head = ["", "before", "after", "change", "95 % interval", "rows", ""]
        rows = [_changed(change) for change in changes]
        out.print(Text.assemble("before: ", (before.model, "bold"), "\nafter:  ", (after.model, "bold")))
    numbers = range(1, len(head) - 1)
    console.table(out, [[Text(cell, "dim") for cell in head], *rows], right=numbers)
    if changes:
        out.print(verdict([asdict(change) for change in changes]), soft_wrap=True)
    for reason, count in after.skipped.items():
        if count:
            out.print(f"{count:,} of {after.rows:,} rows: {reason}", soft_wrap=True)


def _measured(name: str, metric: Metric) -> list[str | Text]:
    return [MEASURES[name].title, number(metric.value), _between(metric.low, metric.high), f"{metric.n:,}"]


def _changed(change: Change) -> list[str | Text]:
    numbers = [number(change.before), number(change.after), signed(change.difference)]
    word = Text(change.word, STYLES.get(change.word, "dim"))
    return [change.name, *numbers, _between(change.low, change.high, signed), f"{change.n:,}", word]


def _between(low: float | None, high: float | None, say: Callable[[float], str] = number) -> str:
    return "" if low is None or high is None else f"{say(low)} to {say(high)}"
