"""Virtual tokens: what prompt, prefix and P-tuning put before every row, as PEFT holds it.

They are a part of the model and not of a recipe: a saved adapter is opened without one. The engine puts them before
every root of a forest; positions go on after them, as in PEFT's own forward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from espalier.errors import ModelError

LayerCache = tuple[Tensor, Tensor]  # keys and values [kv heads, k, D]


@dataclass(frozen=True)
class Virtual:
    """Virtual tokens of a model: embeddings, or keys and values in each layer."""

    length: int
    embeddings: Tensor | None = None  # [k, H]
    layers: tuple[LayerCache, ...] = ()

    def cache(self, rows: int) -> Any:
        """The keys and values as a cache of transformers, the same for each row."""
        from transformers import DynamicCache

        return DynamicCache([tuple(part[None].expand(rows, -1, -1, -1) for part in layer) for layer in self.layers])

    def before(self, embedded: Tensor) -> Tensor:
        """The embeddings before those of each row. [B, L, H] -> [B, k + L, H]"""
        assert self.embeddings is not None
        own = self.embeddings.to(embedded.dtype).expand(embedded.shape[0], -1, -1)
        return torch.cat([own, embedded], 1)


def virtual_of(model: nn.Module) -> Virtual | None:
    """The virtual tokens of a model as they act now; None where it has none, or they are switched off."""
    wrapped: Any = model
    if not has_virtual_tokens(wrapped) or wrapped._adapters_disabled:
        return None
    config = wrapped.active_peft_config
    kind = str(getattr(config.peft_type, "value", config.peft_type))
    if kind == "PREFIX_TUNING":
        found = wrapped.get_prompt(1)
        return Virtual(config.num_virtual_tokens, layers=tuple((x.keys[0], x.values[0]) for x in found.layers))
    if kind in ("PROMPT_TUNING", "P_TUNING"):
        return Virtual(config.num_virtual_tokens, embeddings=wrapped.get_prompt(1)[0])
    raise ModelError(f"an adapter of kind {kind} is not supported: of virtual tokens prompt, prefix and P-tuning are.")


def has_virtual_tokens(model: nn.Module) -> bool:
    """Whether the adapter in use is one of virtual tokens."""
    return bool(getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False))


def virtual_tokens(model: nn.Module) -> int:
    """How many the adapter in use has, switched off or not."""
    wrapped: Any = model
    return int(wrapped.active_peft_config.num_virtual_tokens) if has_virtual_tokens(model) else 0
