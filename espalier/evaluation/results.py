"""What an evaluation found: numbers with their intervals, the rows behind them, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from espalier.evaluation import metrics
from espalier.maths.intervals import Array, Interval, bootstrap, bootstrap_statistic, wilson


def _plain(value: Array) -> Array:
    return value


@dataclass(frozen=True)
class Measure:
    """How rows make one number: transform(sum of numerators / sum of denominators), or a statistic of all of them."""

    title: str
    better: Literal["higher", "lower", ""]  # "" where neither is, or no difference can be tested
    transform: Callable[[Array], Array] = _plain
    share: bool = False  # a share of rows: each is 0, 1, or between for a tie or a part
    statistic: Callable[[Array], float] | None = None  # of the two numbers that each row has under this name [n, 2]
    interval: bool = True  # False where resampling would mislead


MEASURES = {
    "perplexity": Measure("perplexity per token", "lower", metrics.perplexity),
    "bits_per_byte": Measure("bits per UTF-8 byte", "lower", metrics.bits),
    "option_accuracy": Measure("right option by likelihood", "higher", share=True),
    "option_accuracy_per_byte": Measure("right option by likelihood per byte", "higher", share=True),
    "reward_accuracy": Measure("chosen above rejected, against the reference", "higher", share=True),
    "reward_margin": Measure("margin of chosen over rejected against the reference, in nats", "higher"),
    "logp_accuracy": Measure("chosen likelier than rejected", "higher", share=True),
    "mean_logp_accuracy": Measure("chosen likelier than rejected, per token", "higher", share=True),
    "chosen_perplexity": Measure("perplexity per token of the chosen completion", "", metrics.perplexity),
    "pair_accuracy": Measure("chosen scored above rejected", "higher", share=True),
    "best_picked": Measure("best of the list scored highest", "higher", share=True),
    "score_margin": Measure("score of chosen minus score of rejected", ""),
    "pair_log_loss": Measure("Bradley-Terry log-loss, in nats (guessing: 0.693)", "lower"),
    "calibration_error": Measure(
        "calibration error of sigmoid(margin)", "", statistic=metrics.calibration_error, interval=False
    ),
    "score_correlation": Measure("rank correlation with the given scores", "higher", statistic=metrics.spearman),
    "list_correlation": Measure("rank correlation with the given scores, within lists", "higher"),
    "exact_match": Measure("exact match", "higher", share=True),
    "f1": Measure("F1", "higher"),
    "abstained": Measure("abstains from unanswerable questions", "higher", share=True),
    "abstained_falsely": Measure("abstains from answerable questions", "lower", share=True),
    "quote_found": Measure("quotes stand in the passages", "higher", share=True),
    "quote_gold": Measure("quotes stand in a passage with the answer", "higher", share=True),
    "recall": Measure("retrieval recall", "higher", share=True),
    "reciprocal_rank": Measure("retrieval reciprocal rank", "higher"),
    "ended": Measure("answers ended by the end token", "higher", share=True),
    "length": Measure("tokens per answer", ""),
    "repetition": Measure("repeated 4-grams per answer", "lower"),
    "same_script": Measure("answers in the question's script", "higher", share=True),
}


@dataclass(frozen=True)
class Metric:
    """A number, its 95 % interval (none from fewer than two rows), and on how many rows it rests."""

    value: float
    low: float | None
    high: float | None
    n: int


Score = tuple[float, float]  # numerator and denominator, or what the measure's statistic takes


@dataclass(frozen=True)
class Example:
    """One row: what was asked, expected and answered, and its part of every number."""

    row: int
    where: str
    key: str
    kind: str
    prompt: str
    reference: str
    answer: str | None
    scores: dict[str, Score]
    group: str | None = None  # the value of the column by which numbers are split
    passages: list[dict[str, Any]] = field(default_factory=list)  # what was shown beside a question


@dataclass(frozen=True)
class Evaluation:
    """A model on rows.

    Attributes:
        model: what was evaluated.
        tokens: fingerprint of the tokenizer and template; perplexities of two are not comparable.
        metrics: by name, see MEASURES.
        examples: every row that was measured.
        rows: how many rows were given.
        skipped: how many were not measured, or not in full, by reason.
        options: with what this was computed.
        groups: the metrics of each group of rows, where they are split by a column.
    """

    model: str
    tokens: str
    metrics: dict[str, Metric]
    examples: list[Example]
    rows: int
    skipped: dict[str, int] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    groups: dict[str, dict[str, Metric]] = field(default_factory=dict)

    def part(self, group: str) -> Evaluation:
        """The rows of one group by themselves."""
        examples = [example for example in self.examples if example.group == group]
        return replace(self, examples=examples, metrics=self.groups[group], rows=len(examples), skipped={}, groups={})

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Evaluation:
        """From what `to_dict` gave, also after a round trip through JSON."""
        examples = [_example(example) for example in values["examples"]]
        groups = {group: _metrics(found) for group, found in values.get("groups", {}).items()}
        return cls(**{**values, "metrics": _metrics(values["metrics"]), "examples": examples, "groups": groups})


def _metrics(values: dict[str, Any]) -> dict[str, Metric]:
    return {name: Metric(**metric) for name, metric in values.items()}


def _example(values: dict[str, Any]) -> Example:
    scores = {name: (float(above), float(below)) for name, (above, below) in values["scores"].items()}
    return Example(**{**values, "scores": scores})


def summarize(examples: Sequence[Example], *, resamples: int, seed: int) -> dict[str, Metric]:
    """Every measure the rows have, over the rows that have it."""
    found = {}
    for name, measure in MEASURES.items():
        scores = [example.scores[name] for example in examples if name in example.scores]
        if scores:
            found[name] = _metric(measure, scores, resamples, seed)
    return found


def by_group(examples: Sequence[Example], *, resamples: int, seed: int) -> dict[str, dict[str, Metric]]:
    """The same for the rows of each group by themselves, largest group first."""
    sizes = Counter(example.group for example in examples if example.group is not None)
    return {
        group: summarize([e for e in examples if e.group == group], resamples=resamples, seed=seed)
        for group, _ in sizes.most_common()
    }


def _metric(measure: Measure, scores: list[Score], resamples: int, seed: int) -> Metric:
    rows = np.array(scores)
    if measure.statistic is not None and not measure.interval:
        return Metric(measure.statistic(rows), None, None, len(rows))
    if measure.statistic is not None:
        interval = bootstrap_statistic(rows, measure.statistic, resamples=resamples, seed=seed)
    elif measure.share:
        interval = wilson(float(rows[:, 0].sum()), len(rows))
    else:
        interval = bootstrap(rows, transform=measure.transform, resamples=resamples, seed=seed)
    return _checked(interval, len(rows))


def _checked(interval: Interval, n: int) -> Metric:
    known = n > 1
    return Metric(interval.value, interval.low if known else None, interval.high if known else None, n)
