"""Figures of the measurement of objectives as a page shows them: means, shares and differences with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from espalier.maths.intervals import Interval, bootstrap, paired_bootstrap, paired_shares, wilson

Record = dict[str, Any]
Entries = Mapping[str, Record]


@dataclass(frozen=True)
class Reward:
    """The rewards of samples, each the mean over seeds of training, and the mean of each seed."""

    values: np.ndarray[Any, Any]  # [prompts]
    seeds: tuple[float, ...]

    @classmethod
    def of(cls, entries: Sequence[Record]) -> Reward:
        """Of one cell, or of the same one with several seeds."""
        rewards = np.array([entry["rewards"] for entry in entries])
        return cls(rewards.mean(0), tuple(rewards.mean(1).tolist()))

    def mean(self) -> float:
        """Over prompts and seeds."""
        return float(self.values.mean())

    def interval(self) -> Interval:
        """Of that mean, over prompts."""
        return bootstrap(self.values)

    def less(self, other: Reward) -> Interval:
        """The paired difference from another's."""
        return paired_bootstrap(other.values, self.values)

    def spread(self) -> str:
        """Lowest and highest mean of a seed."""
        return f"{min(self.seeds):.2f} to {max(self.seeds):.2f}" if len(self.seeds) > 1 else "one seed"


def known(entries: Entries) -> dict[str, Record]:
    """Those that did not fail."""
    return {label: entry for label, entry in entries.items() if not {"failed", "missing"} & entry.keys()}


def between(found: Interval, *, sign: bool = False) -> str:
    """0.64 [0.52, 0.75]."""
    plus = "+" if sign else ""
    return f"{found.value:{plus}.2f} [{found.low:{plus}.2f}, {found.high:{plus}.2f}]"


def share(marks: str) -> str:
    """The share of ones."""
    return f"{marks.count('1') / len(marks):.2f}"


def told(marks: str) -> str:
    """The same with Wilson's interval."""
    found = wilson(marks.count("1"), len(marks))
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def clear(after: str, before: str) -> Interval:
    """The paired difference of two shares."""
    pairs = list(zip(before, after, strict=True))
    return paired_shares(pairs.count(("0", "1")), pairs.count(("1", "0")), len(pairs))


def quiet(options: Mapping[str, Any]) -> str:
    """Options in a few words."""
    return " ".join(f"{name}={value}" for name, value in options.items())
