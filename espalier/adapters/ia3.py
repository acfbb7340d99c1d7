"""(IA)^3: scaling activations by learned vectors (Liu et al., 2022), arXiv:2205.05638, through PEFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from espalier.catalogue import method
from espalier.contracts import Adapter
from espalier.models.adapters import chosen, found, wrap

KEYS_VALUES = ("k_proj", "v_proj", "c_attn", "query_key_value", "qkv_proj", "Wqkv")
FEED_FORWARD = ("down_proj", "mlp.c_proj", "dense_4h_to_h", "fc2", "w2")


@method(paper="arXiv:2205.05638")
@dataclass(frozen=True)
class IA3(Adapter):
    """Scale keys, values and the inner activations of the feed-forward part by vectors that start at one.

    Relations: the smallest adapter here: about d_k + d_v + d_ff numbers per layer, merged into the weights. Wants some
    thirty times LoRA's learning rate.
    Departs from the paper: without its unlikelihood and length-normalized losses (T-Few); where a model computes
    queries, keys and values in one layer, queries are scaled, too.
    """

    targets: tuple[str, ...] = ()  # layers whose outputs are scaled; empty means keys and values
    feed_forward: tuple[str, ...] = ()  # layers whose inputs are scaled; empty means those that end the feed-forward

    rate: ClassVar[float] = 30.0  # docs/adapters.md has the sweep

    def attach(self, model: nn.Module) -> nn.Module:
        """Wrap the model with PEFT."""
        from peft import IA3Config

        outputs = list(self.targets) or found(model, KEYS_VALUES, self)
        inputs = list(self.feed_forward) or found(model, FEED_FORWARD, self)
        chosen(model, [*outputs, *inputs], self)
        return wrap(model, IA3Config(target_modules=[*outputs, *inputs], feedforward_modules=inputs))
