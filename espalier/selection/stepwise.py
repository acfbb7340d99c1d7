"""The order of stepwise DPO (Kim et al., 2024, "sDPO"), arXiv:2403.19270."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from espalier.catalogue import method
from espalier.contracts import LM, Row
from espalier.curating import EachRow, Item
from espalier.errors import RecipeError, RowError
from espalier.rows import Dropped


def steps_of(margins: Sequence[float], *, steps: int) -> list[int]:
    """The step, from 1, at which each pair is trained: equal parts of the pairs in the order of their margins.

    Args:
        margins: log pi_ref(y_w|x) - log pi_ref(y_l|x), in nats: the higher, the easier. [B]
        steps: T, parts whose sizes differ by one at most; the earlier ones are the larger.
    """
    order = sorted(range(len(margins)), key=lambda place: -margins[place])
    size, more = divmod(len(order), steps)
    found = [0] * len(order)
    for position, place in enumerate(order):
        early = more * (size + 1)
        found[place] = 1 + (position // (size + 1) if position < early else more + (position - early) // size)
    return found


@method(paper="arXiv:2403.19270")
@dataclass(frozen=True)
class Stepwise(EachRow):
    """Number pairs by the step at which stepwise DPO trains them: first those that the reference already ranks right.

    Each step is a run of DPO on its rows (`data.where=step=1`) that starts at, and has for its reference, the model of
    the step before. With one step that is DPO. Rows stay where they are and gain `step`, and with a model
    `reference_margin`: log pi_ref(chosen) - log pi_ref(rejected), in nats; the reference is right where it is above 0.

    Inputs: rows with prompt, chosen and rejected; the reference model, unless the order is "given".
    Relations: `by` is the paper's own split: whole datasets, in the order of the reference's accuracy on them.
    Departs from the paper: without `by` single pairs are ordered, by margin; it has no such split.
    """

    lm: LM | None = None  # the model that training starts from
    steps: int = 2  # T
    order: Literal["easy_first", "hard_first", "given"] = "easy_first"  # given: as the rows stand
    by: str | None = None  # a column whose every value is a step, such as the dataset; `steps` then counts for nothing

    def __post_init__(self) -> None:
        """Refuse no steps."""
        if self.steps < 1:
            raise RecipeError("selection/stepwise: steps must be at least 1.")

    def each(self, row: Row) -> Iterator[Item]:
        """The row with its margin."""
        for name in ("prompt", "chosen", "rejected", *([self.by] if self.by else [])):
            if row.get(name) is None:
                raise RowError(f"{row.where}: missing {name!r}; selection/stepwise needs it.")
        if self.lm is None and self.order != "given":
            raise RecipeError('selection/stepwise orders by a reference: give a model, or order = "given".')
        if self.lm is None:
            yield row
            return
        chosen, rejected = self.lm.logprobs(row["prompt"], [row["chosen"], row["rejected"]])
        yield Row(row, row.where, reference_margin=chosen - rejected)

    def finish(self, found: Iterable[Item]) -> Iterator[Item]:
        """Each row with its step."""
        items = list(found)
        rows = [item for item in items if not isinstance(item, Dropped)]
        numbered = iter(self._numbered(rows) if rows else [])
        for item in items:
            yield item if isinstance(item, Dropped) else Row(item, item.where, step=next(numbered))

    def told(self, rows: Sequence[Row]) -> list[str]:
        """How many pairs each step has, and how many of them the reference ranks right."""
        lines = []
        for step in sorted({row["step"] for row in rows}):
            own = [row for row in rows if row["step"] == step]
            names = f" ({', '.join(dict.fromkeys(str(row[self.by]) for row in own))})" if self.by else ""
            right = f", {accuracy(own):.1%} ranked right by the reference" if self.lm is not None else ""
            lines.append(f"step {step}{names}: {len(own):,} pairs{right}")
        return lines

    def _numbered(self, rows: Sequence[Row]) -> list[int]:
        if self.by is None and self.steps > len(rows):
            raise RowError(f"{len(rows)} pairs cannot be split into {self.steps} steps; give fewer steps.")
        sign = {"easy_first": 1, "hard_first": -1, "given": 0}[self.order]
        if self.by is None:
            return steps_of([sign * float(row.get("reference_margin", 0.0)) for row in rows], steps=self.steps)
        parts: dict[str, list[Row]] = {}
        for row in rows:
            parts.setdefault(str(row[self.by]), []).append(row)
        ranked = sorted(parts, key=lambda name: -sign * accuracy(parts[name]) if sign else 0)
        return [1 + ranked.index(str(row[self.by])) for row in rows]


def accuracy(rows: Sequence[Row]) -> float:
    """The share of pairs that the reference ranks right."""
    return sum(bool(row["reference_margin"] > 0) for row in rows) / len(rows)
