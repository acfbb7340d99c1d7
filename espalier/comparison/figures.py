"""What a comparison found: averages over seeds, paired differences, and the sentence that says which won.

A measure that a formula trains against its own reference (implicit reward) is no common ground and is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from espalier.evaluation.compare import Change, compare
from espalier.evaluation.results import MEASURES, Evaluation, Example, Score, summarize
from espalier.evaluation.wording import listed, number, signed

OWN = ("reward_accuracy", "reward_margin")  # measured against each run's own reference
LEADING = {"preference": "mean_logp_accuracy", "options": "option_accuracy", "question": "exact_match"}
RESAMPLES = 2000
LEVEL = 0.95


@dataclass(frozen=True)
class Figures:
    """The candidates on the same rows.

    Attributes:
        about: which rows.
        start: what each candidate started from, measured on them.
        found: each candidate, averaged over its seeds, in the order they were given.
        seeds: each candidate's lowest and highest number over its seeds, by measure.
        against_start: paired differences.
        against_first: the same, against the first candidate that came to its end.
        leading: the measure that the verdict is about; empty if nothing was measured by all.
        verdict: one sentence.
        told: what else there is to say of it.
    """

    about: str
    start: Mapping[str, Evaluation]
    found: Mapping[str, Evaluation]
    seeds: Mapping[str, Mapping[str, tuple[float, float]]]
    against_start: Mapping[str, tuple[Change, ...]]
    against_first: Mapping[str, tuple[Change, ...]]
    leading: str
    verdict: str
    told: str

    @property
    def first(self) -> str:
        """What the others are compared with."""
        return next(iter(self.found), "")


def figures(
    about: str,
    start: Mapping[str, Evaluation],
    measured: Mapping[str, Sequence[Evaluation]],
    leading: str | None = None,
    seed: int = 0,
) -> Figures:
    """Compare the candidates that have been measured.

    Args:
        about: which rows.
        start: by candidate, what it started from.
        measured: by candidate, one evaluation for each of its seeds.
        leading: the measure that the verdict is about; by the kind of rows if not given.
        seed: of the bootstrap.
    """
    each = {name: [_comparable(one) for one in found] for name, found in measured.items() if found}
    found = {name: averaged(ones, seed) for name, ones in each.items()}
    begun = {name: _comparable(start[name]) for name in found}
    against_start = {name: _changes([begun[name]], each[name], seed) for name in found}
    first = next(iter(found), "")
    against_first = {name: _changes(each[first], each[name], seed) for name in found if name != first}
    common = [name for name in MEASURES if found and all(name in one.metrics for one in found.values())]
    asked = _leading(list(found.values()), common) if leading is None else leading if leading in common else ""
    return Figures(
        about, begun, found, {name: _spread(ones) for name, ones in each.items()}, against_start, against_first, asked,
        *judged(found, each, against_start, asked, seed),
    )  # fmt: skip


def averaged(ones: Sequence[Evaluation], seed: int = 0) -> Evaluation:
    """Evaluations of the same rows as one: each row's part of every number is its mean."""
    if len(ones) == 1:
        return ones[0]
    rows = [_by_row(one) for one in ones]
    examples = []
    for key, example in rows[0].items():
        others = [found[key].scores for found in rows if key in found]
        names = [name for name in example.scores if len(others) == len(rows) and all(name in o for o in others)]
        examples.append(replace(example, scores={name: _mean([o[name] for o in others]) for name in names}))
    return replace(ones[0], examples=examples, metrics=summarize(examples, resamples=RESAMPLES, seed=seed))


def _by_row(one: Evaluation) -> dict[tuple[str, int], Example]:
    seen: Counter[str] = Counter()
    found = {}
    for example in one.examples:
        found[example.key, seen[example.key]] = example
        seen[example.key] += 1
    return found


def _mean(scores: Sequence[Score]) -> Score:
    above, below = zip(*scores, strict=True)
    return sum(above) / len(scores), sum(below) / len(scores)


def _comparable(one: Evaluation) -> Evaluation:
    """The evaluation without what only some objectives have, or have each in their own way."""
    examples = [replace(e, scores={n: s for n, s in e.scores.items() if n not in OWN}) for e in one.examples]
    return replace(one, examples=examples, metrics={n: m for n, m in one.metrics.items() if n not in OWN})


def _spread(ones: Sequence[Evaluation]) -> dict[str, tuple[float, float]]:
    names = [name for name in ones[0].metrics if all(name in one.metrics for one in ones)]
    values = {name: [one.metrics[name].value for one in ones] for name in names}
    return {name: (min(found), max(found)) for name, found in values.items()}


def _changes(
    before: Sequence[Evaluation], after: Sequence[Evaluation], seed: int, level: float = LEVEL
) -> tuple[Change, ...]:
    """Paired differences of the averages over seeds; where the seeds disagree on the sign, nothing can be said."""
    found = compare(averaged(before, seed), averaged(after, seed), resamples=RESAMPLES, seed=seed, level=level)
    return tuple(replace(c, word=c.word if _agreed(c.measure, before, after) else "cannot say") for c in found)


def _agreed(name: str, before: Sequence[Evaluation], after: Sequence[Evaluation]) -> bool:
    """Whether every seed differs in the same direction: from its like, or from all where there are not as many."""
    first, second = ([one.metrics[name].value for one in ones] for ones in (before, after))
    alike = len(first) == len(second)
    pairs = list(zip(first, second, strict=True)) if alike else list(product(first, second))
    return len(pairs) == 1 or all(a > b for b, a in pairs) or all(a < b for b, a in pairs)


def _leading(found: Sequence[Evaluation], common: Sequence[str]) -> str:
    """The measure that most of the rows are there for, where all candidates have it."""
    kinds = Counter(example.kind for one in found[:1] for example in one.examples)
    wanted = [LEADING[kind] for kind, _ in kinds.most_common() if kind in LEADING]
    return next((name for name in (*wanted, "bits_per_byte", *common) if name in common and MEASURES[name].better), "")


def judged(
    found: Mapping[str, Evaluation],
    each: Mapping[str, Sequence[Evaluation]],
    against_start: Mapping[str, Sequence[Change]],
    leading: str,
    seed: int = 0,
) -> tuple[str, str]:
    """Which candidate won, or that it cannot be said; the intervals hold for all comparisons with the best at once.

    Args:
        found: the candidates, averaged over seeds.
        each: the same, seed by seed.
        against_start: what each gained.
        leading: the measure it is about.
        seed: of the bootstrap.

    Returns:
        One sentence, and what else there is to say of it.
    """
    if len(found) < 2:
        there = f"only {next(iter(found))}" if found else "no candidate"
        return f"Nothing can be compared: {there} has been trained and measured.", ""
    if not leading:
        return "Which is best cannot be said: the number to decide by was not measured of all candidates.", ""
    measure, values = MEASURES[leading], {name: one.metrics[leading].value for name, one in found.items()}
    best = (max if measure.better == "higher" else min)(values, key=lambda name: values[name])
    level = 1 - (1 - LEVEL) / (len(found) - 1)  # Bonferroni's: the best was picked among all
    others = sorted((name for name in found if name != best), key=lambda name: abs(values[name] - values[best]))
    changes = {name: _change(leading, _changes(each[name], each[best], seed, level)) for name in others}
    unsure = [name for name in others if (change := changes[name]) is None or change.word != "gained"]
    sure = [name for name in others if name not in unsure]
    rival = (unsure or others)[0]
    near = changes[rival]
    gap = f" (a difference of {signed(near.low)} to {signed(near.high)})" if near else ""
    where = f"on {found[best].metrics[leading].n:,} rows {measure.title} is {number(values[best])} for {best}"
    where += f" and {number(values[rival])} for {rival}{gap}"
    told = [f"With 95 % confidence, all {len(found)} candidates taken together."]
    if unsure:
        told += [f"Nor can {best} be told from {_valued(unsure[1:], values)}."] if unsure[1:] else []
        told += [f"It is better than {_valued(sure, values)}."] if sure else []
    told.append(_since(best, against_start[best], leading))
    sentence = f"Which is best cannot be said: {where}, which may be chance." if unsure else f"{best} won: {where}."
    return sentence, " ".join(told)


def _change(leading: str, changes: Sequence[Change]) -> Change | None:
    return next((change for change in changes if change.measure == leading), None)


def _valued(names: Sequence[str], values: Mapping[str, float]) -> str:
    return listed([f"{name} ({number(values[name])})" for name in names], 4)


def _since(best: str, changes: Sequence[Change], leading: str) -> str:
    change = _change(leading, changes)
    if change is None or change.word == "cannot say":
        before = f" ({number(change.before)})" if change else ""
        return f"Whether {best} gained anything against the start{before} cannot be said."
    return f"Against the start ({number(change.before)}) {best} {change.word}."
