"""Adam with decoupled weight decay (Loshchilov & Hutter, 2019), arXiv:1711.05101, as torch has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from espalier.catalogue import method


@method(paper="arXiv:1711.05101")
@dataclass(frozen=True)
class AdamW:
    """Adam whose weight decay acts on the weights and not on the gradient.

    Relations: torch.optim.AdamW, fused.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0

    state_bytes: ClassVar[float] = 8.0  # kept per trained weight

    def build(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimizer of these parameter groups, each with its own `lr`."""
        return torch.optim.AdamW(
            list(groups), betas=(self.beta1, self.beta2), eps=self.eps, weight_decay=self.weight_decay, fused=True
        )
