"""Mixtures: several sources of rows as one, in fixed shares and a reproducible order.

With n_i rows in source i, a pass has N = sum_i min(n_i, cap_i) rows. Source i gives

    N * w_i / sum(w)    if any weight is given (a source without one has weight 1)
    min(n_i, cap_i)     if none is: examples-proportional with a cap, as FLAN mixes (arXiv:2109.01652)

of them, rounded so that they add up to N (largest remainder). A source that gives more rows than it has is repeated
whole, and the rest of its share is a random subset; one that gives fewer gives a random subset, so that a sorted file
is not cut off at its head. Sources take turns at random, each in its own order. Everything follows from the seed, every
pass is the same, and no source is held in memory; each is read once beforehand to count it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier import rows
from espalier.contracts import Row
from espalier.errors import RowError, unknown
from espalier.rows import Dropped, Rows


@dataclass(frozen=True)
class Part:
    """One source of a mixture: its share (relative to the other weights) and the rows that count at most."""

    rows: Rows
    weight: float | None = None
    cap: int | None = None


class Mixture:
    """Rows of several sources; read like `Rows`.

    `counts` are the rows each source gives in one pass, `dropped` what could not be read of all of them.
    """

    def __init__(self, parts: Sequence[Part], seed: int = 0) -> None:
        for part in parts:
            if part.weight is not None and not (math.isfinite(part.weight) and part.weight >= 0):
                raise RowError(f"{part.rows.name}: weight is {part.weight}; it must be a number of 0 or more.")
            if part.cap is not None and part.cap < 1:
                raise RowError(f"{part.rows.name}: cap is {part.cap}; it must be at least 1.")
        if not parts or all(part.weight == 0 for part in parts):
            raise RowError("a mixture needs at least one source with a weight above 0.")
        self.parts, self.seed = tuple(parts), seed
        self._sizes = [sum(1 for _ in part.rows) for part in parts]
        self.dropped: list[Dropped] = [drop for part in parts for drop in part.rows.dropped]
        self.counts = shares(self._sizes, [part.weight for part in parts], [part.cap for part in parts])

    @property
    def name(self) -> str:
        """The names of the sources."""
        return " + ".join(part.rows.name for part in self.parts)

    @property
    def format(self) -> str:
        """The format of each source."""
        return " + ".join(part.rows.format for part in self.parts)

    @property
    def kind(self) -> str:
        """What the rows are, if all sources agree; otherwise the kind of each."""
        kinds = [part.rows.kind for part in self.parts]
        return kinds[0] if len(set(kinds)) == 1 else " + ".join(kinds)

    @property
    def detected(self) -> str:
        """One sentence a source, with the rows it gives."""
        return "\n".join(f"{part.rows.detected}; {count:,} rows of {size:,}"
                         for part, count, size in zip(self.parts, self.counts, self._sizes, strict=True))  # fmt: skip

    def __len__(self) -> int:
        return sum(self.counts)

    def __iter__(self) -> Iterator[Row]:
        generator = random.Random(self.seed)
        left = list(self.counts)
        streams = [self._stream(at) for at in range(len(left))]
        while any(left):
            (at,) = generator.choices(range(len(left)), weights=left)
            left[at] -= 1
            yield next(streams[at])

    def _stream(self, at: int) -> Iterator[Row]:
        """The rows that source `at` gives, its whole passes first, then the chosen rest."""
        source, size = self.parts[at].rows, self._sizes[at]
        passes, rest = divmod(self.counts[at], size)
        for _ in range(passes):
            yield from source
        generator = random.Random(f"{self.seed} {at}")
        for seen, row in enumerate(source if rest else ()):
            if generator.random() * (size - seen) < rest:  # exactly `rest` of `size`, every subset equally likely
                rest -= 1
                yield row


def shares(sizes: Sequence[int], weights: Sequence[float | None], caps: Sequence[int | None]) -> list[int]:
    """The rows each source gives in one pass: see the module docstring.

    Args:
        sizes: rows of each source.
        weights: relative shares; `None` where none was given.
        caps: rows of a source that count at most; `None` for no limit.
    """
    counted = [size if cap is None else min(size, cap) for size, cap in zip(sizes, caps, strict=True)]
    if all(weight is None for weight in weights):
        return counted
    rates = [1.0 if weight is None else weight for weight in weights]
    exact = [sum(counted) * rate / sum(rates) for rate in rates]
    given = [math.floor(value) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda at: given[at] - exact[at])
    for at in by_remainder[: sum(counted) - sum(given)]:
        given[at] += 1
    return given


def read(data: str | Path | Sequence[Mapping[str, Any]], *, limit: int | None = None, seed: int = 0) -> Rows | Mixture:
    """The rows of a recipe's `data`.

    Args:
        data: a path, or tables of `path` and any of format, columns, limit, split, weight and cap.
        limit: at most so many rows of every source that has no limit of its own.
        seed: decides the order of a mixture.
    """
    if isinstance(data, str | Path):
        return rows.read(data, limit=limit)
    parts = []
    for table in data:
        for option in table:
            if option not in (*_READING, "path", "weight", "cap"):
                raise RowError(unknown("option of data", option, (*_READING, "path", "weight", "cap")))
        if "path" not in table:
            raise RowError("a [[data]] table has no path; name the file, folder or dataset.")
        reading = {"limit": limit} | {option: table[option] for option in _READING if option in table}
        parts.append(Part(rows.read(table["path"], **reading), table.get("weight"), table.get("cap")))
    if len(parts) == 1 and parts[0].cap is None:
        return parts[0].rows
    return Mixture(parts, seed)


_READING = ("format", "columns", "limit", "split")
