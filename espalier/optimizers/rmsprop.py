"""RMSprop (Tieleman & Hinton, 2012, lecture 6.5 of "Neural networks for machine learning"), as torch has it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from espalier.catalogue import method


@method(paper="https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf")
@dataclass(frozen=True)
class RMSprop:
    """Divide each gradient by the root of a running mean of its squares.

    Relations: Adam without momentum and without correcting the running mean at the start; half its state. DPO's authors
    train with it, at torch's defaults. torch.optim.RMSprop.
    """

    decay: float = 0.99  # of the running mean; the lecture has 0.9
    eps: float = 1e-8
    momentum: float = 0.0
    weight_decay: float = 0.0

    state_bytes: ClassVar[float] = 4.0  # kept per trained weight

    def build(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimizer of these parameter groups, each with its own `lr`."""
        return torch.optim.RMSprop(
            list(groups), alpha=self.decay, eps=self.eps, momentum=self.momentum, weight_decay=self.weight_decay
        )
