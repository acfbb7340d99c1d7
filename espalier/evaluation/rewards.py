"""A reward model on rows: whether the better completion has the higher score, by how much, and how sure it may be.

    prompt, chosen, rejected               accuracy (a tie is one half), margin, log-loss, calibration
    prompt, completions, ranks or scores   the same means over a list's comparisons, the best one picked, and with
                                           scores their rank correlation
    prompt, completion, score or label     rank correlation over all rows

Log-loss and calibration take sigmoid(score - score) for the probability that the first is better (Bradley-Terry).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import permutations
from statistics import fmean
from typing import Any, Protocol, runtime_checkable

import numpy as np

from espalier.contracts import Row, Scorer, Scores
from espalier.errors import RowError
from espalier.evaluation import metrics
from espalier.evaluation.cases import Case, fingerprint, said
from espalier.evaluation.preparing import Measured, require_some, split
from espalier.evaluation.results import Score
from espalier.lm.generate import evaluating
from espalier.models.roles import Role
from espalier.render import Renderer
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree

TIE = 1e-5  # scores that are closer are equal: they differ by as much with the rows computed beside them
ROWS = 64  # scored between two calls of progress

Progress = Callable[[str, int, int], None]


@runtime_checkable
class Scoring(Scorer, Protocol):
    """A scorer that is measured; `key` is a fingerprint of how it reads its rows."""

    @property
    def key(self) -> str: ...


class ByRole:
    """A policy with a scalar head, while it is in training, as a scorer."""

    def __init__(self, role: Role, renderer: Renderer) -> None:
        self.role, self.renderer = role, renderer

    @property
    def key(self) -> str:
        """A fingerprint of tokenizer and template."""
        return self.renderer.key

    def score(self, rows: Sequence[Row]) -> Scores:
        """One number per row; each is one that the policy could have been trained on."""
        paths = [self.renderer.completion(row["prompt"], row["completion"], row.get("tools")) for row in rows]
        forest = Forest.plant([Tree.of([path]) for path in paths], device=self.role.device)
        with evaluating(self.role.inner.model):
            return Scores(tuple(self.role.scores(forest).tolist()))


def measured(
    scorer: Scorer, rows: Iterable[Mapping[str, Any]], skipped: Counter[str], by: str | None, progress: Progress
) -> tuple[int, list[Measured]]:
    """How many rows there are, and those that can be measured, with their part of every number.

    Args:
        scorer: what is measured.
        rows: of any of the kinds above.
        skipped: counts the rows that are left out, by reason.
        by: a column by whose values the rows are split.
        progress: called as rows are done.

    Raises:
        RowError: not one row can be measured.
    """
    total, found = _ready(rows, skipped)
    require_some(found, total, skipped)
    split(found, by)
    found = _weighed(scorer, found, skipped, progress)
    require_some(found, total, skipped)
    return total, found


def _ready(rows: Iterable[Mapping[str, Any]], skipped: Counter[str]) -> tuple[int, list[Measured]]:
    """The rows whose completions can be compared, or have a score."""
    total, found = 0, []
    for number, given in enumerate(rows):
        total += 1
        row = given if isinstance(given, Row) else Row(given, f"row {number + 1}")
        try:
            case = case_of(row)
        except RowError as error:
            skipped[str(error).rstrip(".")] += 1
            continue
        found.append(Measured(number, case, fingerprint(row)))
    return total, found


def case_of(row: Row) -> Case:
    """The completions of a row.

    Raises:
        RowError: there are none, or nothing is known of them.
    """
    prompt, completions = row.get("prompt"), row.get("completions")
    if prompt is None:
        raise RowError("missing 'prompt'; a reward model scores completions of prompts")
    if row.get("chosen") is not None and row.get("rejected") is not None:
        return Case(row, "preference", prompt, (row["chosen"], row["rejected"]))
    if isinstance(completions, list | tuple):
        best_first = tuple(completions[n] for n in _order(row))
        return Case(row, "ranked", prompt, best_first, (said(best_first[0]),))
    if row.get("completion") is not None and _given(row) is not None:
        return Case(row, "rated", prompt, (row["completion"],), (said(row["completion"]),))
    raise RowError(
        "nothing to compare a score with; a reward model is measured on chosen and rejected, on completions with ranks "
        "or scores, or on a completion with a score or a label"
    )


def _weighed(scorer: Scorer, found: Sequence[Measured], skipped: Counter[str], progress: Progress) -> list[Measured]:
    """The rows of which every completion has a score, with what that says."""
    kept = []
    for at in range(0, len(found), ROWS):
        part = found[at : at + ROWS]
        asked = [Row(m.case.row, m.case.row.where, completion=target) for m in part for target in m.case.targets]
        scores = scorer.score(asked)
        answers = iter(zip(scores.values, scores.reasons or ("",) * len(asked), strict=True))
        for one in part:
            got = [next(answers) for _ in one.case.targets]
            missing = [reason or "no score" for value, reason in got if value is None]
            if missing:
                skipped[missing[0]] += 1
                continue
            one.scores |= of_scores(one.case, [value for value, _ in got if value is not None])
            kept.append(one)
        progress("evaluating", min(at + ROWS, len(found)), len(found))
    return kept


def of_scores(case: Case, scores: Sequence[float]) -> dict[str, Score]:
    """What the scores of a row's completions, in the order of its targets, say."""
    if case.kind == "rated":
        return {"score_correlation": (scores[0], float(_given(case.row) or 0))}
    worse = [0.0, 1.0] if case.kind == "preference" else sorted(_worse(case.row))
    margins = [scores[a] - scores[b] for a, b in permutations(range(len(scores)), 2) if worse[a] < worse[b]]
    values = {
        "pair_accuracy": fmean(metrics.preferred(margin, 0.0, tie=TIE) for margin in margins),
        "score_margin": fmean(margins),
        "pair_log_loss": fmean(max(0.0, -margin) + math.log1p(math.exp(-abs(margin))) for margin in margins),
    }
    found = {name: (value, 1.0) for name, value in values.items()}
    if len(margins) == 1:
        confidence = 1 / (1 + math.exp(-abs(margins[0])))
        found["calibration_error"] = (confidence, values["pair_accuracy"])
    if len(scores) > 2:
        top = [level == worse[0] for level, score in zip(worse, scores, strict=True) if score >= max(scores) - TIE]
        found["best_picked"] = (sum(top) / len(top), 1.0)
        if (given := _numbers(case.row, "scores")) is not None:
            both = np.array([scores, [given[n] for n in _order(case.row)]])
            found["list_correlation"] = (metrics.spearman(both.T), 1.0)
    return found


def _worse(row: Row) -> list[float]:
    """How bad each of a row's completions is said to be: its rank, or its score turned round."""
    for name, sign in (("ranks", 1.0), ("scores", -1.0)):
        if row.get(name) is None:
            continue
        values = _numbers(row, name)
        if values is None:
            raise RowError(f"{name!r} is not one number for each of the completions")
        if len(set(values)) < 2:
            raise RowError(f"all {name} are equal; nothing can be compared")
        return [sign * value for value in values]
    raise RowError("'completions' without 'ranks' or 'scores'; nothing says which is better")


def _order(row: Row) -> list[int]:
    """The numbers of a row's completions, best first."""
    worse = _worse(row)
    return sorted(range(len(worse)), key=worse.__getitem__)


def _numbers(row: Row, name: str) -> list[float] | None:
    """A column with one number for each of the row's completions; None if it is anything else."""
    values = row.get(name)
    fits = isinstance(values, list | tuple) and len(values) == len(row["completions"]) and all(map(_is_number, values))
    return [float(value) for value in values or ()] if fits else None


def _given(row: Row) -> float | None:
    """The score a row brings; a label of true or false counts as one."""
    score, label = row.get("score"), row.get("label")
    if isinstance(score, int | float) and _is_number(score):
        return float(score)
    return float(label) if isinstance(label, bool) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
