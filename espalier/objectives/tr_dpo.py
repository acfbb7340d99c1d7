"""Trust Region DPO, "TR-DPO" (Gorbatovski et al., 2024), arXiv:2404.09656."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from espalier.catalogue import method
from espalier.contracts import Copy, Loss, Models, Step
from espalier.errors import RecipeError
from espalier.train.objective import Pairs, log_ratios, require_positive, rewards, sides
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree


def tr_dpo_loss(chosen: Tensor, rejected: Tensor, *, beta: float) -> Tensor:
    """-log sigmoid(beta * (chosen - rejected)), DPO's loss, with a reference that moves while training.

    After every tau steps the weights of pi_ref become alpha * pi + (1 - alpha) * pi_ref, from which nothing has a
    gradient: the "soft update"; with alpha = 1 the "hard update".

    Args:
        chosen: log pi(y_w|x) - log pi_ref(y_w|x), summed over the completion's tokens, in nats. [B]
        rejected: the same for the rejected completion y_l. [B]
        beta: strength of the pull to the reference.

    Returns:
        Loss per pair, not reduced. [B]
    """
    return -logsigmoid(beta * (chosen - rejected))


@method(paper="arXiv:2404.09656")
@dataclass(frozen=True)
class TRDPO(Pairs):
    """Fit preferences against a reference that follows the policy, so that the pull back never grows too strong.

    Inputs: rows with prompt, chosen and rejected; a reference model, which is kept in memory beside the policy.
    Relations: DPO's reference stands still; the stages of sDPO move it between parts of the data.
    Departs from the paper: with an adapter, the reference's adapter matrices are mixed, not their product.
    Losses before and after a move of the reference do not compare: each move takes them back towards ln 2.
    """

    beta: float = 0.05
    every: int = 512  # optimizer steps between two moves of the reference (tau)
    mix: float = 0.6  # share of the policy in a move (alpha); 1 copies it

    loss_at_start: ClassVar[float | None] = math.log(2)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 1e-6, "batch_size": 64, "epochs": 1.0, "warmup": 100, "max_norm": 2.0},
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.1, "every": 32},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "Table 1": "beta, every, mix",
            "Table 2 (1,024 tokens)": "learning_rate, epochs, warmup, max_norm",
            "not verified: DPO's": "batch_size",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        require_positive(self, "beta", "every", "mix")
        if self.mix > 1:
            raise RecipeError(f"objectives/tr_dpo: mix must be at most 1, not {self.mix!r}.")

    @property
    def reference(self) -> Copy:
        """The role that follows the policy."""
        return Copy(every=self.every, mix=self.mix)

    def prepare(self, trees: Sequence[Tree], models: Models, step: Step) -> Forest:
        """Plant, count, and ask the reference as it is now: what a cache has of it would be out of date."""
        forest = super().prepare(trees, models, step)
        roles: Any = models
        with torch.no_grad():
            forest.put("reference_logps", roles.reference.completion_logps(forest), level="completion")
        return forest

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report implicit rewards."""
        chosen, rejected = sides(piece, log_ratios(models, piece))
        values = tr_dpo_loss(chosen, rejected, beta=self.beta)
        return Loss.of(values * piece["weight"], **rewards(self.beta * chosen, self.beta * rejected))
