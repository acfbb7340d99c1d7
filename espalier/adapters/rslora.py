"""rsLoRA: rank-stabilized LoRA (Kalajdzievski, 2023), arXiv:2312.03732, through PEFT."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from espalier.catalogue import method
from espalier.models.adapters import LowRank


@method(paper="arXiv:2312.03732")
@dataclass(frozen=True)
class RsLoRA(LowRank):
    """Train a low-rank update whose size does not fall with the rank: h = W x + (alpha / sqrt(rank)) B A x.

    Relations: LoRA with sqrt(rank) in place of the rank; worth it from rank 32 or so. Merged and served like LoRA.
    Departs from the paper: alpha 8 and rank 64, so that the factor is 1; the paper keeps LoRA's alpha and goes up to
    rank 2048. All linear layers but the head, as LoRA here.
    """

    rank: int = 64
    alpha: float = 8.0

    def attach(self, model: nn.Module) -> nn.Module:
        """Wrap the model with PEFT."""
        return self.wrapped(model, use_rslora=True)
