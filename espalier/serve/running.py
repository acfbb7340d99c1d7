"""Rows that are written together though they were begun at different times, each with a sampling of its own.

Rows are begun as a `Batch`; it joins the one that is running by padding the shorter key-value cache on the left. Models
whose cache is more than keys and values of every token keep several batches, which take turns.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from espalier.errors import ModelError
from espalier.lm.generate import Batch, Sampling
from espalier.render import Ids
from espalier.trees.engine import Engine

TRIM = 64  # columns that no row needs any more, before the cache is cut


class Row(Protocol):
    """One answer being written."""

    @property
    def ids(self) -> Ids: ...  # what is read before the next token [L]
    @property
    def sampling(self) -> Sampling: ...
    @property
    def chance(self) -> float: ...  # of the next token, uniform in [0, 1)


@dataclass
class Running:
    """The rows of one model that are under way, by number.

    Args:
        engine: the model.
    """

    engine: Engine
    batches: list[Batch] = field(default_factory=list)

    def begin(self, rows: Mapping[int, Row]) -> None:
        """Read the rows' ids; their first tokens are picked at the next step."""
        together = [list(rows)] if self.engine.layout == "trees" else _equally_long(rows)
        for numbers in together:
            batch = Batch(self.engine, [rows[number].ids for number in numbers])
            batch.open = list(numbers)
            if self.batches and _joins(self.batches[0], batch):
                _join(self.batches[0], batch)
            else:
                self.batches.append(batch)

    def pick(self, batch: Batch, rows: Mapping[int, Row]) -> list[tuple[int, int, float]]:
        """Row, token and its log-probability at temperature 1, for every open row of a batch."""
        groups: dict[Hashable, list[int]] = {}
        for at, number in enumerate(batch.open):
            if number is not None:
                sampling = rows[number].sampling
                groups.setdefault((sampling.temperature, sampling.top_p), []).append(at)
        batch.tokens = torch.zeros(len(batch.open), dtype=torch.long, device=batch.logits.device)
        for places in groups.values():
            numbers = [int(batch.open[at] or 0) for at in places]
            chance = torch.tensor([rows[number].chance for number in numbers], device=batch.logits.device)
            batch.tokens[places] = rows[numbers[0]].sampling.choose(batch.logits[places], chance)
        logps = torch.log_softmax(batch.logits, -1).gather(-1, batch.tokens[:, None])[:, 0]
        if not logps.isfinite().all():
            raise ModelError("the model's log-probabilities are not finite; look for broken weights, or use float32.")
        found = zip(batch.open, batch.tokens.tolist(), logps.tolist(), strict=True)
        return [(number, token, logp) for number, token, logp in found if number is not None]

    def extend(self, batch: Batch, going: set[int]) -> None:
        """Close all rows of a batch but these, and compute what the next tokens are picked from."""
        batch.extend(going)
        if not batch.open:
            self.batches.remove(batch)
        elif _plain(batch):
            _trim(batch)


def _equally_long(rows: Mapping[int, Row]) -> list[list[int]]:
    """Rows apart by their length, for a model whose rows must not be padded."""
    groups: dict[int, list[int]] = {}
    for number, row in rows.items():
        groups.setdefault(len(row.ids), []).append(number)
    return list(groups.values())


def _layers(batch: Batch) -> list[Any]:
    return list(getattr(batch.cache.get("past_key_values"), "layers", ()))


def _plain(batch: Batch) -> bool:
    """Whether its cache holds keys and values of every token, and nothing else."""
    from transformers.cache_utils import DynamicLayer

    layers = _layers(batch)
    return batch.shares and bool(layers) and all(type(layer) is DynamicLayer for layer in layers)


def _joins(running: Batch, batch: Batch) -> bool:
    return _plain(running) and _plain(batch)


def _join(running: Batch, batch: Batch) -> None:
    """Put the rows of a batch behind those that are running."""
    width = max(running.mask.shape[1], batch.mask.shape[1])
    for ours, theirs in zip(_layers(running), _layers(batch), strict=True):
        ours.keys = torch.cat([_widened(ours.keys, width), _widened(theirs.keys, width)])
        ours.values = torch.cat([_widened(ours.values, width), _widened(theirs.values, width)])
    masks: Sequence[Tensor] = (running.mask, batch.mask)
    running.mask = torch.cat([pad(mask, (width - mask.shape[1], 0)) for mask in masks])
    running.logits = torch.cat([running.logits, batch.logits])
    running.length = torch.cat([running.length, batch.length])
    running.open = [*running.open, *batch.open]


def _widened(states: Tensor, width: int) -> Tensor:
    """Keys or values with empty columns on the left. [R, heads, L, D]"""
    return pad(states, (0, 0, width - states.shape[2], 0))


def _trim(batch: Batch) -> None:
    """Give back the columns that only rows which have left needed."""
    empty = int(batch.mask.any(0).int().argmax())
    if empty >= TRIM:
        batch.mask = batch.mask[:, empty:]
        for layer in _layers(batch):
            layer.keys, layer.values = layer.keys[:, :, empty:].clone(), layer.values[:, :, empty:].clone()
