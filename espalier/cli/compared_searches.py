"""What a comparison of searches prints: the verdict, the numbers, what a question takes, and the groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.text import Text

from espalier import console
from espalier.evaluation.compare import Change
from espalier.evaluation.searching_figures import Column, Compared
from espalier.evaluation.searching_page import COSTS, cost
from espalier.evaluation.wording import number, signed

STYLES = {"gained": "bold green", "lost": "bold red", "cannot say": "dim"}
MARKS = {"gained": " +", "lost": " -"}
NAME = 28  # characters of a name
Cell = str | Text


def print_compared(out: Console, found: Compared) -> None:
    """Everything, the verdict first."""
    out.print()
    out.print(Text(console.visible(found.verdict), "bold"), soft_wrap=True)
    if found.told:
        out.print(console.visible(found.told), soft_wrap=True)
    if found.columns:
        _leading(out, found)
        _table(out, found, found.columns, "all numbers (+ better, - worse than the first, where that can be said)")
        _costs(out, found.columns)
        for group, columns in found.groups.items():
            n = max((column.n for column in columns.values()), default=0)
            _table(out, found, columns, f"{group}, {n:,} questions")
    for name, why in found.problems.items():
        out.print(Text.assemble((f"{console.visible(name)}: ", "bold red"), console.visible(why)), soft_wrap=True)


def _leading(out: Console, found: Compared) -> None:
    name = next(iter(found.measures), "")
    if not name:
        return
    out.print(f"\n{found.measures[name].title}")
    against = f"against {short(found.first)}" if len(found.columns) > 1 else ""
    rows: list[Sequence[Cell]] = [_dim("", "", "95 %", against)]
    for pipeline, column in found.columns.items():
        if (metric := column.metrics.get(name)) is not None:
            known = metric.low is not None and metric.high is not None
            between = f"{number(metric.low or 0)} to {number(metric.high or 0)}" if known else ""
            value = number(metric.value)
            rows.append([short(pipeline), value, Text(between, "dim"), _change(column.changes.get(name))])
    console.table(out, rows, right=(1,))


def _change(change: Change | None) -> Text:
    if change is None:
        return Text()
    word = f" {change.word}" if change.word != "cannot say" else ""
    style = STYLES[change.word]
    return Text(f"{signed(change.difference)} ({signed(change.low)} to {signed(change.high)}){word}", style)


def _table(out: Console, found: Compared, columns: Mapping[str, Column], title: str) -> None:
    """Pipelines in lines, measures in columns."""
    names = [name for name in found.measures if any(name in column.metrics for column in columns.values())]
    out.print(f"\n{title}")
    rows: list[Sequence[Cell]] = [_dim("", *(name.replace("_", " ") for name in names), "")]
    for pipeline, column in columns.items():
        rows.append([short(pipeline), *(_figure(column, name) for name in names), ""])
    console.table(out, rows, right=range(1, len(names) + 1))


def _figure(column: Column, name: str) -> Text:
    if name not in column.metrics:
        return Text()
    word = column.changes[name].word if name in column.changes else "cannot say"
    return Text(f"{number(column.metrics[name].value)}{MARKS.get(word, '  ')}", STYLES[word] if word in MARKS else "")


def _costs(out: Console, columns: Mapping[str, Column]) -> None:
    names = [name for name in COSTS if any(column.costs.get(name) for column in columns.values())]
    out.print("\na question takes (means; times are of this machine, one question after the other)")
    rows: list[Sequence[Cell]] = [_dim("", *(COSTS[name] for name in names), "")]
    for pipeline, column in columns.items():
        cells = [cost(name, column.costs[name]) if name in column.costs else "" for name in names]
        rows.append([short(pipeline), *cells, ""])
    console.table(out, rows, right=range(1, len(names) + 1))


def short(name: str) -> str:
    """A name that fits into a table."""
    return name if len(name) <= NAME else f"{name[: NAME // 2 - 1]}..{name[-NAME // 2 + 1 :]}"


def _dim(*cells: str) -> list[Cell]:
    return [Text(cell, "dim") for cell in cells]
