"""Several models under several conditions, on the same rows: who answers what, and how each differs from the first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.evaluation.compare import Change, compare
from espalier.evaluation.conditions import Condition, Show
from espalier.evaluation.evaluate import evaluate
from espalier.evaluation.results import MEASURES, Evaluation
from espalier.evaluation.wording import listed, number
from espalier.models.scoring import LoadedScorer
from espalier.run import Loaded

LEADING = ("exact_match", "abstained", "reward_accuracy", "option_accuracy", "bits_per_byte")  # what is said first

Asked = Sequence[tuple[Condition, Show | None]]  # how to ask, and what arranges the rows for it
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Cell:
    """One model under one condition.

    Attributes:
        target: the model, as it was named.
        condition: see `espalier.evaluation.conditions`.
        words: the condition in a sentence.
        evaluation: what was measured.
        changes: against the first model under the same condition; none for the first.
        group_changes: the same for each group of rows.
    """

    target: str
    condition: str
    words: str
    evaluation: Evaluation
    changes: tuple[Change, ...] = ()
    group_changes: Mapping[str, tuple[Change, ...]] | None = None


@dataclass(frozen=True)
class Grid:
    """Models x conditions, in the order they were named.

    Attributes:
        data: where the rows are from.
        cells: every model under every condition.
        asked: how, beside the conditions: the index that was searched.
        shown: the measures that matter most, in their order; all of them where none is named.
    """

    data: str
    cells: tuple[Cell, ...]
    asked: dict[str, Any] = field(default_factory=dict)
    shown: tuple[str, ...] = ()

    @property
    def targets(self) -> list[str]:
        """The models' names."""
        return list(dict.fromkeys(cell.target for cell in self.cells))

    @property
    def conditions(self) -> list[str]:
        """The conditions' names."""
        return list(dict.fromkeys(cell.condition for cell in self.cells))

    @property
    def groups(self) -> list[str]:
        """The groups the rows are split in, if they are."""
        return list(dict.fromkeys(group for cell in self.cells for group in cell.evaluation.groups))

    def cell(self, target: str, condition: str) -> Cell:
        """One model under one condition."""
        return next(cell for cell in self.cells if (cell.target, cell.condition) == (target, condition))

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)


def measure(
    name: str,
    loaded: Loaded | LoadedScorer,
    rows: Sequence[Row],
    asked: Asked,
    *,
    first: Mapping[str, Evaluation],
    progress: Progress = lambda what, done, of: None,
    **options: Any,
) -> list[Cell]:
    """One model under every condition.

    Args:
        name: what to call it.
        loaded: the model.
        rows: what to measure it on.
        asked: the conditions.
        first: what the first model reached under each, by the condition's name; empty for the first model itself.
        progress: called with the condition's name in front.
        options: of `espalier.evaluation.evaluate`.

    Raises:
        RowError: no row can be measured under a condition.
    """
    cells = []
    for condition, show in asked:

        def tell(what: str, done: int, of: int, condition: Condition = condition) -> None:
            progress(f"{name}, {condition.name}: {what}", done, of)

        how = {"reference": loaded.base, "name": loaded.describe, "progress": tell, "show": show, **options}
        try:
            found = evaluate(loaded.policy, rows, loaded.renderer, **how)
        except RowError as error:
            raise RowError(f"{condition.name}: {error}") from error
        before = first.get(condition.name)
        seed = int(options.get("seed", 0))
        cells.append(
            Cell(
                target=name,
                condition=condition.name,
                words=condition.words,
                evaluation=found,
                changes=tuple(compare(before, found, seed=seed)) if before else (),
                group_changes=compare_groups(before, found, seed=seed) if before else None,
            )
        )
    return cells


def compare_groups(before: Evaluation, after: Evaluation, *, seed: int = 0) -> dict[str, tuple[Change, ...]]:
    """Paired differences of each group of rows by itself."""
    shared = [group for group in after.groups if group in before.groups]
    return {group: tuple(compare(before.part(group), after.part(group), seed=seed)) for group in shared}


def sentence(grid: Grid) -> str:
    """What the table says, in one sentence: the last model under every condition, and beside the first."""
    measured = {name for cell in grid.cells for name in cell.evaluation.metrics}
    name = next((name for name in (*grid.shown, *LEADING, *MEASURES) if name in measured), "")
    told = [cell for cell in grid.cells if cell.target == grid.targets[-1] and name in cell.evaluation.metrics]
    if not told:
        return "Nothing was measured."
    n = {cell.evaluation.metrics[name].n for cell in told}
    parts = [_part(grid, cell, name) for cell in told]
    rows = " to ".join(f"{count:,}" for count in sorted({min(n), max(n)}))
    title = MEASURES[name].title
    return f"{title[:1].upper()}{title[1:]} of {told[0].target} on {rows} rows: {listed(parts, len(parts))}."


def _part(grid: Grid, cell: Cell, name: str) -> str:
    text = number(cell.evaluation.metrics[name].value) + (f" {cell.words}" if len(grid.conditions) > 1 else "")
    change = next((change for change in cell.changes if change.measure == name), None)
    if change is None:
        return text
    return f"{text} ({grid.targets[0]} {number(change.before)}: {change.word})"
