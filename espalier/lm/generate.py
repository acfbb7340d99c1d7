"""Generation, one token at a time: a batch of rows with the model's own key-value cache.

A prompt is computed once, and its cache handed to each of its samples. Rows that are done leave the batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from espalier.errors import ModelError, RecipeError
from espalier.models.heads import base_of, body_of, head_of
from espalier.models.virtual import virtual_of
from espalier.render import Ids
from espalier.trees.engine import Engine, started, using


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen, and how many."""

    temperature: float  # the logits are divided by it; 0 takes the likeliest token
    top_p: float  # only the likeliest tokens that together reach this probability (Holtzman et al., 2020)
    max_tokens: int  # longest answer, its end token included
    seed: int

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.temperature < 0 or not 0 < self.top_p <= 1 or self.max_tokens < 1:
            raise RecipeError("temperature must be at least 0, top_p above 0 and at most 1, and max_tokens at least 1.")

    def choose(self, logits: Tensor, chance: Tensor) -> Tensor:
        """One token per row, by inverting the cumulative distribution at a given number.

        Args:
            logits: of the next token. [R, V]
            chance: uniform in [0, 1); the same number always gives the same token. [R]

        Returns:
            Token ids. [R]
        """
        if self.temperature == 0:
            return logits.argmax(-1)
        p = torch.softmax(logits / self.temperature, -1)
        if self.top_p < 1:
            ordered, index = p.sort(dim=-1, descending=True)
            before = ordered.cumsum(-1) - ordered
            p = torch.zeros_like(p).scatter(-1, index, ordered.masked_fill(before >= self.top_p, 0.0))
        total = p.cumsum(-1)
        at = torch.searchsorted(total, chance[:, None].to(p.dtype) * total[:, -1:], right=True)[:, 0]
        return at.clamp_(max=logits.shape[-1] - 1)


class Batch:
    """Rows that are being written together: `pick` a token for each, then `extend` those that go on.

    Rows of prompts of different length are padded on the left. A model in the rows layout may carry a state that
    padding would spoil and that cannot be handed out: its prompts must have one length, are computed once for each
    sample, and stay until all are done.

    Args:
        engine: the model; it generates with its own attention.
        prompts: token ids per row; equal prompts next to each other are computed once. [L] each
    """

    def __init__(self, engine: Engine, prompts: Sequence[Ids]) -> None:
        self.engine = engine
        self.shares = engine.layout == "trees"
        self.open: list[int | None] = list(range(len(prompts)))
        head = head_of(engine.model)
        self.head = replace(head, weight=head.weight.to(engine.autocast or head.weight.dtype))
        first = [i for i, ids in enumerate(prompts) if not (self.shares and i and _same(ids, prompts[i - 1]))]
        ids, self.mask = _padded([prompts[i] for i in first], engine.device)
        self.cache: dict[str, Any] = {}
        self.logits = self._begin(ids)
        self.length = self.mask.sum(-1)  # [R]
        if len(first) < len(prompts):
            starts = set(first)
            owners = torch.tensor([i in starts for i in range(len(prompts))], device=ids.device).cumsum(0) - 1
            self._keep(owners)
            self.logits = self.logits[owners]

    def pick(self, chance: Tensor, sampling: Sampling) -> list[tuple[int, int, float]]:
        """Row, token and its log-probability at temperature 1, for every open row.

        Args:
            chance: uniform in [0, 1), for every row the batch began with. [rows]
            sampling: how to choose.
        """
        rows = [0 if row is None else row for row in self.open]
        self.tokens = sampling.choose(self.logits, chance[rows].to(self.logits.device))
        logps = torch.log_softmax(self.logits, -1).gather(-1, self.tokens[:, None])[:, 0]
        if not logps.isfinite().all():
            raise ModelError("the model's log-probabilities are not finite; look for broken weights, or use float32.")
        found = zip(self.open, self.tokens.tolist(), logps.tolist(), strict=True)
        return [(row, token, logp) for row, token, logp in found if row is not None]

    def extend(self, rows: Collection[int]) -> None:
        """Close all but these rows, append what was picked for them, and compute their next logits."""
        keep = [i for i, row in enumerate(self.open) if row in rows]
        if not keep:
            self.open = []
            return
        if self.shares and len(keep) < len(self.open):
            index = torch.tensor(keep, device=self.mask.device)
            self._keep(index)
            self.tokens, self.open = self.tokens[index], [self.open[i] for i in keep]
        self.open = [row if row in rows else None for row in self.open]
        self.mask = torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], -1)
        self.logits = self._forward(self.tokens[:, None], self.length[:, None])
        self.length = self.length + 1

    def _keep(self, index: Tensor) -> None:
        """Only these rows of cache, mask and lengths; a row may be taken more than once."""
        self.cache["past_key_values"].batch_select_indices(index)
        self.mask, self.length = self.mask[index], self.length[index]

    def _begin(self, ids: Tensor) -> Tensor:
        """Logits after the prompts, behind the virtual tokens where there are any. [R, L] -> [R, V]"""
        virtual = virtual_of(self.engine.model)
        if virtual is None:
            return self._forward(ids, (self.mask.cumsum(-1) - 1).clamp_(min=0))
        rows = started(self.engine.model, virtual, ids, self.mask)
        self.mask = rows["attention_mask"]
        return self._logits(rows)

    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        """Logits after the last token. [R, L] -> [R, V]"""
        padded = {"attention_mask": self.mask, "position_ids": positions} if self.shares else {}
        return self._logits({"input_ids": ids, **padded, **self.cache})

    def _logits(self, rows: dict[str, Any]) -> Tensor:
        """Logits after the last token of what the body is given; its cache is kept. [R, V]"""
        with _own(self.engine):
            out = body_of(self.engine.model)(**rows, use_cache=True)
        names = [name for name in ("past_key_values", "cache_params") if getattr(out, name, None) is not None]
        if not names:
            raise ModelError(f"{type(base_of(self.engine.model)).__name__} keeps no cache and cannot generate here.")
        self.cache = {names[0]: getattr(out, names[0])}
        return self.head.logits(out.last_hidden_state[:, -1].to(self.head.weight.dtype))


def _same(a: Ids, b: Ids) -> bool:
    """Whether two prompts are equal."""
    return len(a) == len(b) and bool((a == b).all())


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """No gradients and no dropout; afterwards every module is as it was."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True


@contextlib.contextmanager
def _own(engine: Engine) -> Iterator[None]:
    """The model's own attention, in the engine's precision."""
    device, dtype = engine.device.type, engine.autocast
    with using(base_of(engine.model), engine.own_attention), torch.autocast(device, dtype, enabled=dtype is not None):
        yield


def _padded(prompts: Sequence[Ids], device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and mask, padded on the left. [P, L]"""
    width = max(len(ids) for ids in prompts)
    ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, given in enumerate(prompts):
        ids[row, width - len(given) :] = torch.from_numpy(given)
        mask[row, width - len(given) :] = 1
    return ids.to(device), mask.to(device)
