"""Schedule-free AdamW (Defazio et al., 2024), arXiv:2405.15682, through the authors' library."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from espalier.catalogue import method
from espalier.errors import RecipeError

KEPT = ("k", "weight_sum", "lr_max")  # what the library keeps in a group and a resumed run needs


@method(paper="arXiv:2405.15682")
@dataclass(frozen=True)
class ScheduleFree:
    """AdamW that averages the weights it has passed, in place of lowering the learning rate.

    Relations: needs to know no last step, so a run may stop at any; set `schedule = "constant"`, and the learning rate
    somewhat higher than AdamW's. What is measured, kept as best and handed over is the average.
    """

    beta1: float = 0.9  # between the average and the newest weights, where gradients are taken; the paper also has 0.98
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    power: float = 2.0  # of the learning rate so far, in the weights of the average: what warms up counts less

    state_bytes: ClassVar[float] = 8.0  # kept per trained weight

    def build(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimizer of these parameter groups, each with its own `lr`.

        Raises:
            RecipeError: the library is missing.
        """
        try:
            from schedulefree import AdamWScheduleFree
        except ImportError:
            raise RecipeError(
                "optimizers/schedule_free needs schedulefree: pip install 'espalier-lm[optimizers]'."
            ) from None

        class Resumable(AdamWScheduleFree):  # type: ignore[misc]  # the library has no types
            """Keeps what it counts per group in the state of the group's first parameter, as checkpoints save it."""

            def step(self, closure: Any = None) -> Any:
                """One step from the numbers in the state."""
                for group in self.param_groups:
                    group.update({key: value for key, value in self.state[group["params"][0]].items() if key in KEPT})
                loss = super().step(closure)
                for group in self.param_groups:
                    self.state[group["params"][0]].update({key: group[key] for key in KEPT})
                return loss

        made: torch.optim.Optimizer = Resumable(
            list(groups), betas=(self.beta1, self.beta2), eps=self.eps, weight_decay=self.weight_decay,
            weight_lr_power=self.power,
        )  # fmt: skip
        made.train()  # type: ignore[attr-defined]
        return made
