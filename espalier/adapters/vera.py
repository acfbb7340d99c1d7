"""VeRA: vector-based random matrix adaptation (Kopiczko et al., 2023), arXiv:2310.11454, through PEFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from espalier.catalogue import method
from espalier.contracts import Adapter
from espalier.models.adapters import chosen, require_one, wrap
from espalier.models.load import quietly


@method(paper="arXiv:2310.11454")
@dataclass(frozen=True)
class VeRA(Adapter):
    """Train two vectors per layer around random matrices that all layers share: h = W x + b * (B (d * (A x))).

    Relations: LoRA trains A and B of each layer; here they are drawn once from `projection_seed`, frozen, and not
    saved: the file holds rank + outputs numbers per layer. Wants some thirty times LoRA's learning rate.
    Departs from the paper: all linear layers but the head instead of query and value; A and B have the largest layer's
    size and smaller layers take their first rows and columns, as in PEFT.
    """

    rank: int = 256
    d_initial: float = 0.1  # d at the start; b is zero
    dropout: float = 0.0
    projection_seed: int = 0  # of A and B: adapters that are used together need the same
    targets: tuple[str, ...] = ()  # module names; empty means every linear layer but the output head

    rate: ClassVar[float] = 30.0  # docs/adapters.md has the sweep

    def __post_init__(self) -> None:
        """Refuse a rank below one."""
        require_one(self, "rank")

    def attach(self, model: nn.Module) -> nn.Module:
        """Wrap the model with PEFT; the same seed gives the same A and B, bit for bit."""
        from peft import VeraConfig

        chosen(model, self.targets, self)
        with quietly():
            config = VeraConfig(
                r=self.rank,
                d_initial=self.d_initial,
                vera_dropout=self.dropout,
                projection_prng_key=self.projection_seed,
                save_projection=False,
                target_modules=list(self.targets) or "all-linear",
            )
        return wrap(model, config)
