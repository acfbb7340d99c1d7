"""LOMO: low-memory optimization (Lv et al., 2023), arXiv:2306.09782."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from espalier.catalogue import method
from espalier.errors import RecipeError
from espalier.train.fused import Fused


def lomo_step(weight: Tensor, gradient: Tensor, *, learning_rate: float) -> Tensor:
    """Algorithm 1: w - learning_rate * g, plain gradient descent.

    Args:
        weight: one parameter. [any shape]
        gradient: of the loss in it, the same shape.
        learning_rate: per step.

    Returns:
        The new weight.
    """
    return weight - learning_rate * gradient


@method(paper="arXiv:2306.09782")
@dataclass(frozen=True)
class LOMO:
    """Step each weight in the middle of the backward pass and let its gradient go, so that nothing but weights is kept.

    Relations: plain gradient descent in its numbers; AdaLomo adds a second moment that is almost as small. It wants a
    learning rate of its own, far above AdamW's: 1e-3 to 1e-1.
    Departs from the paper: no loss scaling, since trained weights are float32 here.
    """

    clip_value: float | None = None  # limits each number of the gradient; None: max_norm, with a second backward pass

    fused: ClassVar[bool] = True
    state_bytes: ClassVar[float] = 0.0  # kept per trained weight

    def __post_init__(self) -> None:
        """Refuse a limit of zero."""
        if self.clip_value is not None and not self.clip_value > 0:
            raise RecipeError(f"optimizers/lomo: clip_value must be above 0, not {self.clip_value}.")

    def build(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimizer of these parameter groups, each with its own `lr`."""
        return _Lomo(groups, "optimizers/lomo", self.clip_value)


class _Lomo(Fused):
    def update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """In place: a second copy of the largest weight is what this is to spare."""
        parameter.add_(gradient, alpha=-group["lr"])
