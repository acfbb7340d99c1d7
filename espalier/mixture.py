"""Mixtures: how many rows of each source one epoch has, and which.

With n_i rows in source i, an epoch has N = sum_i min(n_i, cap_i) rows. Source i gives

    N * w_i / sum(w)    if any weight is given (a source without one has weight 1)
    min(n_i, cap_i)     if none is: examples-proportional with a cap, as FLAN mixes (arXiv:2109.01652)

of them, rounded so that they add up to N (largest remainder). A source that gives more rows than it has is repeated
whole, and the rest of its share is a random subset; one that gives fewer gives a random subset.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from espalier import seeding
from espalier.errors import RowError

Numbers = NDArray[np.int64]


def mix(
    members: Sequence[Numbers], weights: Sequence[float | None], caps: Sequence[int | None], *, seed: int
) -> Numbers:
    """The rows of one epoch, by number: each source's own, repeated or thinned to its share.

    Args:
        members: the numbers of each source's rows.
        weights: relative shares; `None` where none was given.
        caps: rows of a source that count at most; `None` for no limit.
        seed: decides which rows a source gives beyond whole passes.

    Raises:
        RowError: a weight or cap that cannot be, or weights that leave nothing.
    """
    for weight, cap in zip(weights, caps, strict=True):
        if weight is not None and not (math.isfinite(weight) and weight >= 0):
            raise RowError(f"the weight of a source is {weight}; it must be a number of 0 or more.")
        if cap is not None and cap < 1:
            raise RowError(f"the cap of a source is {cap}; it must be at least 1.")
    if not members or all(weight == 0 for weight in weights):
        raise RowError("a mixture needs at least one source with a weight above 0.")
    found = []
    for number, (mine, wanted) in enumerate(
        zip(members, shares([len(m) for m in members], weights, caps), strict=True)
    ):
        passes, rest = divmod(wanted, max(1, len(mine)))
        chance = np.random.default_rng(seeding.derive(seed, "mixture", number))
        found += [mine] * passes + [np.sort(chance.permutation(mine)[:rest])]
    return np.concatenate(found)


def shares(sizes: Sequence[int], weights: Sequence[float | None], caps: Sequence[int | None]) -> list[int]:
    """The rows each source gives in one epoch: see the module docstring.

    Args:
        sizes: rows of each source.
        weights: relative shares; `None` where none was given.
        caps: rows of a source that count at most; `None` for no limit.
    """
    counted = [size if cap is None else min(size, cap) for size, cap in zip(sizes, caps, strict=True)]
    if all(weight is None for weight in weights):
        return counted
    rates = [
        0.0 if not size else 1.0 if weight is None else weight for size, weight in zip(sizes, weights, strict=True)
    ]
    exact = [sum(counted) * rate / (sum(rates) or 1.0) for rate in rates]
    given = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda at: given[at] - exact[at])
    for at in by_remainder[: sum(counted) - sum(given)]:
        given[at] += 1
    return given
