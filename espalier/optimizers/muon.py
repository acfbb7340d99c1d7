"""Muon: orthogonalized momentum (Jordan et al., 2024), scaled as by Liu et al., 2025, arXiv:2502.16982."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from espalier.catalogue import method

NOT_HIDDEN = ("embed", "wte", "wpe", "lm_head")  # in the names of matrices that look tokens or positions up


@method(paper="arXiv:2502.16982")
@dataclass(frozen=True)
class Muon:
    """Step each hidden matrix by its orthogonalized momentum, and everything else by AdamW.

    Relations: AdamW scales each weight by its own history; Muon gives all directions of a matrix the same length. Meant
    for training from scratch or all weights; the learning rate is AdamW's, since updates are scaled to its usual size.
    """

    momentum: float = 0.95
    weight_decay: float = 0.1
    steps: int = 5  # iterations of Newton-Schulz
    beta1: float = 0.9  # AdamW's, for embeddings, heads and vectors
    beta2: float = 0.95
    eps: float = 1e-8

    state_bytes: ClassVar[float] = 8.0  # kept per trained weight; half of it for hidden matrices

    def build(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimizer of these groups of named parameters, each with its own `lr`."""
        hidden: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        for group in groups:
            named = list(group["params"])
            chosen = [name for name, weight in named if weight.ndim == 2 and not any(n in name for n in NOT_HIDDEN)]
            hidden.append(group | {"params": [weight for name, weight in named if name in chosen]})
            others.append(group | {"params": [weight for name, weight in named if name not in chosen]})
        parts: list[torch.optim.Optimizer] = []
        options: dict[str, Any]
        if hidden := [group for group in hidden if group["params"]]:
            options = {"momentum": self.momentum, "weight_decay": self.weight_decay, "ns_steps": self.steps}
            parts.append(torch.optim.Muon(hidden, adjust_lr_fn="match_rms_adamw", **options))
        if others := [group for group in others if group["params"]]:
            options = {"betas": (self.beta1, self.beta2), "eps": self.eps, "weight_decay": self.weight_decay}
            parts.append(torch.optim.AdamW(others, fused=True, **options))
        return Joint(parts)


class Joint(torch.optim.Optimizer):
    """Several optimizers as one: they share its groups and its state."""

    def __init__(self, parts: list[torch.optim.Optimizer]) -> None:
        self.parts = parts
        super().__init__([group for part in parts for group in part.param_groups], {})
        for part in parts:
            part.state = self.state

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of each."""
        loss = None if closure is None else closure()
        for part in self.parts:
            part.step()
        return loss
