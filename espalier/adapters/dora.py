"""DoRA: weight-decomposed low-rank adaptation (Liu et al., 2024), arXiv:2402.09353, through PEFT."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from espalier.catalogue import method
from espalier.models.adapters import LowRank


@method(paper="arXiv:2402.09353")
@dataclass(frozen=True)
class DoRA(LowRank):
    """Train length and direction of each output's weights apart: W' = m (W + s B A) / ||W + s B A||, from m = ||W||.

    Relations: LoRA trains both at once. One number more per output; slower, for the norm is computed at every step; no
    server loads it as an adapter, so it is merged.
    Departs from the paper: rank 16 and all linear layers but the head, as LoRA here; the paper has rank 16 and 32.
    """

    def attach(self, model: nn.Module) -> nn.Module:
        """Wrap the model with PEFT."""
        return self.wrapped(model, use_dora=True)
