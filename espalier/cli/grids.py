"""Several models under several conditions: opened in turn, printed as tables, written as one JSON file and one page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from espalier import console
from espalier.cli.targets import BASE, Opened, open_one, open_targets
from espalier.contracts import Row
from espalier.errors import RecipeError
from espalier.evaluation.grid import Asked, Cell, Grid, measure, sentence
from espalier.evaluation.grid_page import figures, html
from espalier.evaluation.results import MEASURES, Evaluation
from espalier.evaluation.wording import number
from espalier.run import write_text

STYLES = {"gained": "green", "lost": "red"}


def measure_grid(
    targets: Sequence[str],
    data: str,
    rows: Sequence[Row],
    asked: Asked,
    *,
    about: Mapping[str, Any],
    shown: tuple[str, ...] = (),
    dtype: str = "auto",
    progress: Callable[[str, int, int], None],
    **options: Any,
) -> Callable[[Console, Path | None], None]:
    """Measure every target under every condition, one model in memory at a time.

    Args:
        targets: runs, adapters, models or hub ids; `base` is what the first other one was made from.
        data: what to call the rows.
        rows: what to measure on.
        asked: the conditions.
        about: what else to write down of how this was asked.
        shown: the measures to print, in their order; all of them where none is named.
        dtype: what to compute in.
        progress: called as rows are done.
        options: of `espalier.evaluation.evaluate`.

    Returns:
        What prints the result and writes it.
    """
    names = names_of(targets)
    cells: list[Cell] = []
    first: dict[str, Evaluation] = {}
    for name, target in zip(names, targets, strict=True):
        cells += measure(name, _open(target, targets, dtype), rows, asked, first=first, progress=progress, **options)
        first = first or {cell.condition: cell.evaluation for cell in cells}
    grid = Grid(data, tuple(cells), dict(about), shown)

    def finish(screen: Console, out: Path | None) -> None:
        print_grid(screen, grid, str(options.get("by")))
        if out is None:
            screen.print("--out FILE.json writes all of it, and beside it a page that shows rows with their answers.")
            return
        write_text(out.with_suffix(".json"), json.dumps(grid.to_dict(), ensure_ascii=False, indent=1))
        write_text(out.with_suffix(".html"), html(grid, seed=int(options.get("seed", 0))))
        screen.print(f"written: {out.with_suffix('.json')} and {out.with_suffix('.html')}", soft_wrap=True)

    return finish


def names_of(targets: Sequence[str]) -> list[str]:
    """What to call the targets: the last part of each path, where that tells them apart.

    Raises:
        RecipeError: one stands twice.
    """
    if len(set(targets)) < len(targets):
        raise RecipeError("a target stands twice; name each once.")
    short = [Path(target).name or target for target in targets]
    return short if len(set(short)) == len(short) else list(targets)


def _open(target: str, targets: Sequence[str], dtype: str) -> Opened:
    others = [other for other in targets if other != BASE]
    if target == BASE and others and not Path(BASE).exists():
        base = open_targets(others[0], BASE, dtype=dtype)[1]
        assert base is not None, "open_targets opens what it is told"
        return base
    return open_one(target, dtype=dtype)


def print_grid(screen: Console, grid: Grid, by: str) -> None:
    """The sentence, and a table of models and conditions for each measure that is shown."""
    screen.print(Text(sentence(grid), "bold"), soft_wrap=True)
    _print_tables(screen, grid, None)
    for group in grid.groups:
        screen.print(Text(f"\n{by}: {console.visible(group)}", "bold"))
        _print_tables(screen, grid, group)
    for cell in grid.cells:
        for reason, count in cell.evaluation.skipped.items():
            said = f"{cell.target}, {cell.condition}: {count:,} of {cell.evaluation.rows:,} rows: {reason}"
            screen.print(said, soft_wrap=True)


def _print_tables(screen: Console, grid: Grid, group: str | None) -> None:
    """A table of models and conditions for each measure; of one model, a table of measures and conditions."""
    head = [[Text(cell, "dim") for cell in ("", *grid.conditions)]] if len(grid.conditions) > 1 else []
    alone: list[list[str | Text]] = []
    for name in grid.shown or MEASURES:
        measured = MEASURES[name]
        rows: list[list[str | Text]] = [
            [target, *(_figure(grid.cell(target, condition), name, group) for condition in grid.conditions)]
            for target in grid.targets
        ]
        if not any(any(cells[1:]) for cells in rows):
            continue
        if len(rows) == 1:
            alone.append([measured.title, *rows[0][1:]])
            continue
        screen.print(Text(f"\n{measured.title}"))
        console.table(screen, [*head, *rows])
    if alone:
        console.table(screen, [*head, *alone])


def _figure(cell: Cell, name: str, group: str | None) -> Text:
    metrics, changes = figures(cell, group)
    if name not in metrics:
        return Text()
    metric, change = metrics[name], changes.get(name)
    between = "" if metric.low is None or metric.high is None else f"{number(metric.low)} to {number(metric.high)}, "
    text = Text.assemble(number(metric.value), (f" ({between}n {metric.n:,})", "dim"))
    return text if change is None else Text.assemble(text, " ", (change.word, STYLES.get(change.word, "dim")))
