"""Optimizers that step inside the backward pass: each weight as soon as its gradient is there, which then is let go."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from espalier.errors import RecipeError, RunError
from espalier.train import distributed


class Fused(torch.optim.Optimizer):
    """At most one gradient is kept at a time. The loop calls `backward` in place of the loss's own.

    Args:
        groups: torch's parameter groups.
        name: the address of the method, for what it refuses.
        clip_value: each number of the gradient is kept between minus this and this; else the norm is limited.
    """

    fused = True

    def __init__(self, groups: Iterable[dict[str, Any]], name: str, clip_value: float | None) -> None:
        if distributed.world_size() > 1:
            raise RecipeError(f"{name} steps before the ranks could add up their gradients. Use one process.")
        super().__init__(list(groups), {})
        self.clip_value = clip_value
        self.stepping = False  # a backward pass of somebody else leaves its gradients
        self.scale: float | None = None  # of every gradient; None while norms are measured
        self.norms: list[Tensor] = []
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.register_post_accumulate_grad_hook(partial(self._take, group))

    def backward(self, value: Tensor, max_norm: float) -> float:
        """Back-propagate a loss and step.

        The norm of the whole gradient is only known at the end of a pass: to limit it, a first one changes nothing.

        Returns:
            The norm before clipping; where it is not finite and was known beforehand, no weight has changed.
        """
        scale = 1.0
        if max_norm and self.clip_value is None:
            norm = self._pass(value, None, again=True)
            if not math.isfinite(norm):
                return norm
            scale = min(1.0, max_norm / (norm + 1e-6))
        norm = self._pass(value, scale, again=False)
        if not math.isfinite(norm):
            raise RunError(
                f"the gradient became {norm} while weights were already changing. Nothing of this step is saved: lower "
                "the learning rate and go on from the last checkpoint with --resume, or start anew."
            )
        return norm

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Nothing is left to be done."""

    def update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Step one parameter."""
        raise NotImplementedError

    def _pass(self, value: Tensor, scale: float | None, *, again: bool) -> float:
        self.scale, self.norms, self.stepping = scale, [], True
        try:
            value.backward(retain_graph=again)
        finally:
            self.stepping = False
        return float(torch.linalg.vector_norm(torch.stack(self.norms))) if self.norms else 0.0

    @torch.no_grad()
    def _take(self, group: dict[str, Any], parameter: Tensor) -> None:
        if not self.stepping or parameter.grad is None:
            return
        gradient, parameter.grad = parameter.grad, None
        wide = torch.promote_types(gradient.dtype, torch.float32)
        self.norms.append(torch.linalg.vector_norm(gradient, dtype=wide))
        if self.scale is None:
            return
        if self.clip_value is not None:
            gradient.clamp_(-self.clip_value, self.clip_value)
        elif self.scale != 1.0:
            gradient.mul_(self.scale)
        self.update(parameter, gradient, group)
