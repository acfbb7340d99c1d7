"""Chance, derived: every random number follows from the run's seed, a purpose and where the run is."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def derive(seed: int, *parts: int | str) -> int:
    """A seed of 63 bits from a seed and whatever names a purpose, such as "shuffle" and an epoch."""
    text = "\x1f".join([str(seed), *map(str, parts)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *parts: int | str) -> torch.Generator:
    """A CPU generator for a purpose; the same parts give the same numbers on every machine."""
    import torch

    return torch.Generator().manual_seed(derive(seed, *parts))
