"""AdaLomo: low-memory optimization with an adaptive learning rate (Lv et al., 2023), arXiv:2310.10195."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from espalier.catalogue import method
from espalier.errors import RecipeError
from espalier.train.fused import Fused


def adalomo_update(weight: Tensor, gradient: Tensor, second: Tensor, *, floor: float, threshold: float = 1.0) -> Tensor:
    """Algorithm 1, lines 9 to 11: u = g / sqrt(v); u / max(1, RMS(u) / threshold) * max(floor, RMS(w)).

    Args:
        weight: one parameter. [any shape]
        gradient: of the loss in it, the same shape.
        second: v, the running mean of the squared gradient, the same shape.
        floor: the least size of weights that a step is relative to.
        threshold: updates of a larger root mean square are scaled down to it.

    Returns:
        What the weight moves by, per learning rate.
    """
    u = gradient * second.rsqrt()
    return u * (_rms(weight).clamp_min(floor) / (_rms(u) / threshold).clamp_min(1.0))


def factored(rows: Tensor, columns: Tensor) -> Tensor:
    """Line 8: v = r c / mean(r), the matrix of rank one with these means. [..., n], [..., m] -> [..., n, m]"""
    return (rows / rows.mean(-1, keepdim=True))[..., :, None] * columns[..., None, :]


@method(paper="arXiv:2310.10195")
@dataclass(frozen=True)
class AdaLomo:
    """Step each weight within the backward pass, relative to its size and to row and column means of its gradient.

    Relations: LOMO's memory, and of Adam's second moment a row and a column per matrix; the update is Adafactor's
    without momentum. Steps are relative to the weights, so the learning rate is about 1e-3 for any model.
    Departs from the paper: the running mean's decay at step t is 1 - t ** -decay, as the authors' code has it.
    """

    decay: float = 0.8
    eps: float = 1e-30  # added to squared gradients
    floor: float = 1e-3
    threshold: float = 1.0
    clip_value: float | None = None  # limits each number of the gradient; None: max_norm, with a second backward pass

    fused: ClassVar[bool] = True
    state_bytes: ClassVar[float] = 0.0  # kept per trained weight

    def __post_init__(self) -> None:
        """Refuse limits of zero."""
        for name in ("decay", "eps", "floor", "threshold", "clip_value"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise RecipeError(f"optimizers/adalomo: {name} must be above 0, not {value}.")

    def build(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimizer of these parameter groups, each with its own `lr`."""
        return _AdaLomo(groups, self)


class _AdaLomo(Fused):
    def __init__(self, groups: Iterable[dict[str, Any]], options: AdaLomo) -> None:
        super().__init__(groups, "optimizers/adalomo", options.clip_value)
        self.options = options

    def update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        """Squared gradients into the running means, then the step they allow."""
        state, options = self.state[parameter], self.options
        state["step"] = state.get("step", 0) + 1
        rate = state["step"] ** -options.decay
        gradient = gradient.float()
        squared = gradient.square() + options.eps
        if gradient.ndim < 2:
            second = _mean(state, "second", squared, rate)
        else:
            second = factored(
                _mean(state, "rows", squared.mean(-1), rate), _mean(state, "columns", squared.mean(-2), rate)
            )
        moved = adalomo_update(parameter.float(), gradient, second, floor=options.floor, threshold=options.threshold)
        parameter.add_(moved.to(parameter.dtype), alpha=-group["lr"])


def _mean(state: dict[str, Any], name: str, value: Tensor, rate: float) -> Tensor:
    """The running mean of a value in the state, moved by the rate; at rate 1 it is the value."""
    state[name] = state[name].lerp_(value, rate) if name in state else value.clone()
    found: Tensor = state[name]
    return found


def _rms(x: Tensor) -> Tensor:
    return x.square().mean().sqrt()
