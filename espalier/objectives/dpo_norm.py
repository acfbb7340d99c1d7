"""Length-normalized Direct Preference Optimization, "dpo_norm" (Lambert et al., 2024, Tulu 3), arXiv:2411.15124."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from espalier.catalogue import method
from espalier.contracts import Loss, Models
from espalier.train.objective import PairObjective, log_ratios, per_token, require_positive, rewards, sides
from espalier.trees.forest import Forest


def dpo_norm_loss(chosen: Tensor, rejected: Tensor, *, beta: float) -> Tensor:
    """Eq. 6: -log sigmoid(beta * (chosen - rejected)), one value per pair.

    Args:
        chosen: (log pi(y_w|x) - log pi_ref(y_w|x)) / |y_w|, in nats per token. [B]
        rejected: the same for the rejected completion y_l, by its own length. [B]
        beta: strength of the pull to the reference; larger than DPO's by about the length of a completion.

    Returns:
        Loss per pair, not reduced. [B]
    """
    return -logsigmoid(beta * (chosen - rejected))


@method(paper="arXiv:2411.15124")
@dataclass(frozen=True)
class DPONorm(PairObjective):
    """Fit preferences by log-ratios per token, so that a long completion does not win by its length.

    Inputs: rows with prompt, chosen and rejected; a reference model.
    Relations: DPO sums the log-ratios; SimPO normalizes too, without a reference; LD-DPO weighs the longer one's end.
    """

    beta: float = 5.0

    loss_at_start: ClassVar[float | None] = math.log(2)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 5e-7, "batch_size": 128, "epochs": 1.0, "warmup": 0.1, "schedule": "linear"},
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "Table 20 (8B, 2,048 tokens)": "beta, learning_rate, batch_size, epochs, warmup, schedule",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        require_positive(self, "beta")

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report implicit rewards."""
        chosen, rejected = sides(piece, per_token(piece, log_ratios(models, piece)))
        values = dpo_norm_loss(chosen, rejected, beta=self.beta)
        return Loss.of(values * piece["weight"], **rewards(self.beta * chosen, self.beta * rejected))
