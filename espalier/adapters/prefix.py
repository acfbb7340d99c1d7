"""Prefix tuning: trained keys and values in every layer (Li & Liang, 2021), arXiv:2101.00190, through PEFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from espalier.catalogue import method
from espalier.contracts import Adapter
from espalier.models.adapters import require_one, wrap


@method(paper="arXiv:2101.00190")
@dataclass(frozen=True)
class Prefix(Adapter):
    """Train keys and values of a few virtual tokens in every layer, which every row attends to.

    Relations: prompt tuning trains the first layer's inputs only. Cannot be merged. What is saved are the keys and
    values; the network that computes them in training is dropped.
    Departs from the paper: no initialization from the activations of real words.
    """

    tokens: int = 10
    reparameterize: bool = True  # compute them by a network of two layers while training
    hidden: int = 512  # its width

    starts_at_base: ClassVar[bool] = False
    shares: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse none at all."""
        require_one(self, "tokens", "hidden")

    def attach(self, model: nn.Module) -> nn.Module:
        """Wrap the model with PEFT."""
        from peft import PrefixTuningConfig

        config = PrefixTuningConfig(
            num_virtual_tokens=self.tokens, prefix_projection=self.reparameterize, encoder_hidden_size=self.hidden
        )
        return wrap(model, config)
