"""Pipelines on the same questions: each number with its interval, paired differences to the first, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from espalier.evaluation.compare import FEWEST, Change, Word
from espalier.evaluation.results import Measure, Metric
from espalier.evaluation.solving import SPENT, Outcome
from espalier.evaluation.wording import listed, number, signed
from espalier.maths.intervals import Interval, bootstrap, paired_bootstrap, paired_shares, wilson

LEVEL = 0.95
RESAMPLES = 2000

Outcomes = Mapping[str, Outcome]  # by the question's id


@dataclass(frozen=True)
class Column:
    """One pipeline on some questions.

    Attributes:
        metrics: by measure.
        changes: paired differences to the first pipeline, by measure; none for the first.
        costs: means per question of calls, tokens and searches, and `seconds` and `seconds_p95`, by name.
        n: questions that were done.
    """

    metrics: Mapping[str, Metric]
    changes: Mapping[str, Change]
    costs: Mapping[str, float]
    n: int


@dataclass(frozen=True)
class Compared:
    """The whole comparison.

    Attributes:
        measures: what was measured, the first to decide by.
        columns: every pipeline that has an outcome, in the order they were named.
        groups: the same for the questions of one group.
        problems: why a pipeline did not come to its end.
        verdict: one sentence.
        told: what else there is to say of it.
        about: how this was measured.
    """

    measures: Mapping[str, Measure]
    columns: Mapping[str, Column]
    groups: Mapping[str, Mapping[str, Column]]
    problems: Mapping[str, str]
    verdict: str
    told: str
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> str:
        """What the others are compared with."""
        return next(iter(self.columns), "")

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        measures = {name: {"title": one.title, "better": one.better} for name, one in self.measures.items()}
        parts = {group: {name: asdict(one) for name, one in found.items()} for group, found in self.groups.items()}
        columns = {name: asdict(one) for name, one in self.columns.items()}
        return {
            "about": dict(self.about), "verdict": self.verdict, "told": self.told, "problems": dict(self.problems),
            "measures": measures, "pipelines": columns, "groups": parts,
        }  # fmt: skip


def compared(
    outcomes: Mapping[str, Outcomes],
    measures: Mapping[str, Measure],
    groups: Mapping[str, Sequence[str]],
    problems: Mapping[str, str],
    *,
    about: Mapping[str, Any],
    leading: str | None = None,
    seed: int = 0,
) -> Compared:
    """Put the pipelines side by side.

    Args:
        outcomes: by pipeline, the first to compare with.
        measures: what may have been measured, the first to decide by.
        groups: the ids of the questions of each group.
        problems: by pipeline, why it did not come to its end.
        about: how this was measured.
        leading: the measure to decide by, instead.
        seed: of the bootstrap.
    """
    there = {name: found for name, found in outcomes.items() if found}
    taken = {name for found in there.values() for one in found.values() for name in one.scores}
    kept = {name: measure for name, measure in measures.items() if name in taken}
    if leading in kept:
        kept = {leading: kept[leading], **kept}
    columns = _columns(there, kept, seed)
    parts = {}
    for group, ids in groups.items():
        inside = set(ids)
        some = {name: {i: one for i, one in found.items() if i in inside} for name, found in there.items()}
        parts[group] = _columns({name: found for name, found in some.items() if found}, kept, seed)
    finished = {name: found for name, found in there.items() if name not in problems}
    sentence, told = judged(finished, kept, seed)
    return Compared(kept, columns, parts, dict(problems), sentence, told, dict(about))


def _columns(outcomes: Mapping[str, Outcomes], measures: Mapping[str, Measure], seed: int) -> dict[str, Column]:
    first = next(iter(outcomes), "")
    level = level_for(len(outcomes))
    found = {}
    for name, own in outcomes.items():
        changes: dict[str, Change] = {}
        for key, measure in measures.items() if name != first else ():
            change = difference(key, measure, outcomes[first], own, level, seed)
            changes |= {key: change} if change else {}
        found[name] = Column(_metrics(own, measures, seed), changes, costs(own), len(own))
    return found


def level_for(candidates: int) -> float:
    """The level of one interval at which all differences to the first hold together (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(1, candidates - 1)


def difference(
    key: str, measure: Measure, before: Outcomes, after: Outcomes, level: float = LEVEL, seed: int = 0
) -> Change | None:
    """After minus before, on the questions that both have the measure of; None if there are none."""
    pairs = [
        (before[i].scores[key], one.scores[key])
        for i, one in after.items()
        if key in one.scores and i in before and key in before[i].scores
    ]
    if not pairs:
        return None
    old, new = np.array(pairs).T
    gain = new - old
    if measure.share or set(np.unique(gain)) <= {-1.0, 0.0, 1.0}:
        interval = paired_shares(int((gain > 0).sum()), int((gain < 0).sum()), len(pairs), level=level)
    else:
        interval = paired_bootstrap(old, new, resamples=RESAMPLES, level=level, seed=seed)
    return Change(
        key, measure.title, float(old.mean()), float(new.mean()), interval.value, interval.low, interval.high,
        len(pairs), _word(measure, interval, len(pairs)),
    )  # fmt: skip


def _word(measure: Measure, interval: Interval, n: int) -> Word:
    if n < FEWEST or interval.low <= 0 <= interval.high:
        return "cannot say"
    return "gained" if (interval.low > 0) == (measure.better == "higher") else "lost"


def _metrics(own: Outcomes, measures: Mapping[str, Measure], seed: int) -> dict[str, Metric]:
    found = {}
    for key, measure in measures.items():
        values = [one.scores[key] for one in own.values() if key in one.scores]
        if not values:
            continue
        n = len(values)
        interval = wilson(sum(values), n) if measure.share else bootstrap(values, resamples=RESAMPLES, seed=seed)
        low, high = (interval.low, interval.high) if n > 1 else (None, None)
        found[key] = Metric(interval.value, low, high, n)
    return found


def costs(own: Outcomes) -> dict[str, float]:
    """What a question takes: means of what was spent, the median of seconds and what 95 % stay below."""
    found = {}
    for name in SPENT:
        values = [one.spent[name] for one in own.values() if name in one.spent]
        if values:
            found[name] = sum(values) / len(values)
    seconds = [one.seconds for one in own.values()]
    return found | {"seconds": float(np.median(seconds)), "seconds_p95": float(np.quantile(seconds, 0.95))}


def judged(outcomes: Mapping[str, Outcomes], measures: Mapping[str, Measure], seed: int = 0) -> tuple[str, str]:
    """Which pipeline is best, or that it cannot be said; intervals hold for all comparisons with the best at once."""
    leading = next(iter(measures), "")
    measured = [{i for i, one in found.items() if leading in one.scores} for found in outcomes.values()]
    shared = set.intersection(*measured) if measured else set()
    if not leading or not shared:
        return "Nothing can be compared: no pipeline has been measured to its end.", ""
    same = {name: {i: found[i] for i in found if i in shared} for name, found in outcomes.items()}
    measure = measures[leading]
    values = {name: float(np.mean([one.scores[leading] for one in found.values()])) for name, found in same.items()}
    best = max(values, key=lambda name: values[name])
    where = f"on {len(shared):,} questions {measure.title} is {number(values[best])} for {best}"
    if len(values) < 2:
        return f"{where[:1].upper()}{where[1:]}.", ""
    level = level_for(len(values))
    changes = {
        name: change
        for name in sorted((n for n in values if n != best), key=lambda n: -values[n])
        if (change := difference(leading, measure, same[name], same[best], level, seed))
    }
    unsure = [name for name, change in changes.items() if change.word != "gained"]
    rival = (unsure or list(changes))[0]
    gap = f"{signed(changes[rival].low)} to {signed(changes[rival].high)}"
    where += f" and {number(values[rival])} for {rival} (a difference of {gap})"
    sure = [f"{name} ({number(values[name])})" for name in changes if name not in unsure]
    more = [f"{name} ({number(values[name])})" for name in unsure[1:]]
    told = [f"With 95 % confidence, all {len(values)} pipelines taken together."]
    told += [f"Nor can {best} be told from {listed(more, 4)}."] if more else []
    told += [f"It is better than {listed(sure, 4)}."] if unsure and sure else []
    sentence = f"Which is best cannot be said: {where}, which may be chance." if unsure else f"{best} is best: {where}."
    return sentence, " ".join(told)
