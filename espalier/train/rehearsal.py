"""The rehearsal: the longest piece of the run, forward and backward, before the first step; its gradient is dropped."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from espalier.models.roles import Models
from espalier.train.loop import Here
from espalier.train.store import Store


@dataclass(frozen=True)
class Rehearsal:
    """What the longest piece took."""

    tokens: int
    seconds: float
    memory: int  # bytes in use at the peak, the whole process on a CPU, the device's on a GPU
    tokens_per_piece: int  # what fitted
    note: str = ""


def rehearse(
    objective: Any, models: Models, store: Store, numbers: Sequence[int], here: Here, tokens_per_piece: int
) -> Rehearsal:
    """Try the largest piece; where the device's memory does not hold it, halve the budget once.

    Args:
        objective: whose loss is tried.
        models: the roles.
        store: the examples.
        numbers: those of the run.
        here: what `prepare` is handed.
        tokens_per_piece: tokens computed at once.
    """
    try:
        return _try(objective, models, store, numbers, here, tokens_per_piece, "")
    except torch.OutOfMemoryError:
        half = tokens_per_piece // 2
        torch.cuda.empty_cache()
        models.policy.max_tokens = half
        note = f"{tokens_per_piece} tokens at once do not fit into the device's memory; going on with {half}"
        return _try(objective, models, store, numbers, here, half, note)


def _try(
    objective: Any, models: Models, store: Store, numbers: Sequence[int], here: Here, budget: int, note: str
) -> Rehearsal:
    chosen = largest(store, numbers, budget)
    models.policy.inner.train()
    if models.policy.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    forest = objective.prepare([store[n] for n in chosen], models, here)
    piece = max(
        forest.split(budget, shared=models.policy.inner.layout == "trees"), key=lambda part: part.layout.ids.numel()
    )
    seconds = 0.0
    for _ in range(2):  # the first time pays for what is set up once
        begun = time.perf_counter()
        terms = objective.loss(models, piece).terms
        sum(term.weight * term.total / forest.counts[name] for name, term in terms.items()).backward()
        seconds = time.perf_counter() - begun
    for parameter in models.policy.inner.parameters():
        parameter.grad = None
    return Rehearsal(piece.layout.ids.numel(), seconds, peak_memory(models.policy.device), budget, note)


def largest(store: Store, numbers: Sequence[int], budget: int) -> list[int]:
    """The longest examples that fill a piece."""
    sizes = np.array([store.tokens(int(n)) for n in numbers[:100_000]])
    chosen: list[int] = []
    for i in np.argsort(-sizes, kind="stable"):
        if chosen and sum(store.tokens(n) for n in chosen) + sizes[i] > budget:
            break
        chosen.append(int(numbers[i]))
    return chosen


def peak_memory(device: torch.device) -> int:
    """Bytes in use at the peak so far."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
