"""Rows made ready to be measured: what is shown, what fits the model's context, and what is left out and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from espalier.contracts import LM, Row, Sample
from espalier.errors import RowError, unknown
from espalier.evaluation.cases import Case, case_of, counted, fingerprint
from espalier.evaluation.conditions import Show
from espalier.evaluation.results import Score
from espalier.lm.local import Local
from espalier.render import Ids, Rendered

ROOM = 4  # an answer's part of the model's context that passages leave free, unless answers are shorter: 1 / 4
FEWER = "fewer passages shown: with all of them the model's context has no room for an answer"
MOST_GROUPS = 50  # of rows, when numbers are split by a column


@dataclass
class Measured:
    """A case on its way."""

    number: int
    case: Case
    key: str
    paths: list[Rendered] = field(default_factory=list)
    start: Ids | None = None
    logps: list[float] = field(default_factory=list)
    sample: Sample | None = None
    scores: dict[str, Score] = field(default_factory=dict)
    group: str | None = None


def ready(
    rows: Iterable[Mapping[str, Any]], model: LM, skipped: Counter[str], show: Show | None, max_tokens: int
) -> tuple[int, list[Measured]]:
    """The rows that can be measured; every other is counted with its reason."""
    total, found = 0, []
    for number, given in enumerate(rows):
        total += 1
        row = given if isinstance(given, Row) else Row(given, f"row {number + 1}")
        try:
            shown, scores = show(row) if show else (row, {})
            case = case_of(shown)
            fitted = _fitted(case, model, max_tokens)
            measured = Measured(number, fitted, fingerprint(row), scores=dict(scores))
            _plant(measured, model)
        except RowError as error:
            skipped[getattr(error, "reason", str(error).rstrip("."))] += 1
            continue
        found.append(measured)
        if len(fitted.passages) < len(case.passages):
            skipped[FEWER] += 1
    return total, found


def _fitted(case: Case, model: LM, max_tokens: int) -> Case:
    """The case with as many of its passages, from the first on, as leave room for an answer."""
    if not isinstance(model, Local) or model.context is None:
        return case
    longest = model.context - min(max_tokens, model.context // ROOM)
    while case.passages and len(case.start(model.renderer)) > longest:
        case = case.show(case.passages[:-1])
    return case


def _plant(measured: Measured, model: LM) -> None:
    """Make a case's texts token ids."""
    case = measured.case
    if not isinstance(model, Local):
        if case.kind == "text":
            raise RowError("raw text needs a model on this machine")
        return
    paths, longest = case.paths(model.renderer), model.context
    if paths and not all(map(counted, paths)):
        raise RowError("no token to score")
    if longest is not None and any(len(path.ids) > longest for path in paths):
        raise RowError(f"longer than the model's context of {longest} tokens")
    measured.paths = paths
    measured.start = case.start(model.renderer) if case.prompt is not None else None


def require_some(found: Sequence[Measured], total: int, skipped: Counter[str]) -> None:
    """Refuse rows none of which can be measured, and say why they cannot."""
    if not found:
        reasons = "; ".join(f"{reason} ({n})" for reason, n in skipped.most_common(3)) or "there are none"
        raise RowError(f"none of {total} rows can be measured: {reasons}.")


def split(found: Sequence[Measured], by: str | None) -> None:
    """Say of every row which group it belongs to, where numbers are split by a column."""
    if by is None:
        return
    columns = {name for measured in found for name in measured.case.row}
    if by not in columns:
        raise RowError(unknown("column", by, columns))
    for measured in found:
        value = measured.case.row.get(by)
        measured.group = "none" if value is None else value if isinstance(value, str) else json.dumps(value)
    groups = {measured.group for measured in found}
    if len(groups) > MOST_GROUPS:
        raise RowError(f"column {by!r} has {len(groups)} different values, more than {MOST_GROUPS}; choose another.")


def unanswerable(measured: Measured, model: LM) -> str:
    """Why a prompt cannot be continued; empty if it can."""
    if not isinstance(model, Local) or measured.start is None:
        return ""
    if not len(measured.start):
        return "the prompt is empty and the tokenizer has no start token"
    full = model.context is not None and len(measured.start) >= model.context
    return "the prompt fills the model's context" if full else ""
