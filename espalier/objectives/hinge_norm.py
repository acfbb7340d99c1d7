"""The "hinge-norm" loss of statistical rejection sampling, RSO (Liu et al., 2023), arXiv:2309.06657."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, relu

from espalier.catalogue import method
from espalier.contracts import Loss, Models
from espalier.train.objective import PairObjective, log_ratios, require_positive, rewards, sides
from espalier.trees.forest import Forest


def hinge_norm_loss(chosen: Tensor, rejected: Tensor, *, gamma: float) -> Tensor:
    """Eq. 10, L_hinge-norm: max(0, 1 - gamma * (chosen - rejected)), one value per pair.

    Args:
        chosen: log pi(y_w|x) - log pi_ref(y_w|x), summed over the completion's tokens, in nats. [B]
        rejected: the same for the rejected completion y_l. [B]
        gamma: a pair that is 1 / gamma nats apart is left alone.

    Returns:
        Loss per pair, not reduced. [B]
    """
    return relu(1 - gamma * (chosen - rejected))


@method(paper="arXiv:2309.06657")
@dataclass(frozen=True)
class HingeNorm(PairObjective):
    """Push each pair apart, relative to the reference, until the chosen completion leads by a margin.

    Inputs: rows with prompt, chosen and rejected; a reference model.
    Relations: SLiC has the same hinge without a reference; DPO's logistic loss never stops pushing.
    Departs from the paper: the loss alone, without the rejection sampling that makes its pairs; AdamW instead of
    Adafactor.
    """

    gamma: float = 0.05

    loss_at_start: ClassVar[float | None] = 1.0
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 1e-5, "batch_size": 32, "epochs": 1.0, "warmup": 0.1},
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "Section 5": "gamma, learning_rate, batch_size",
            "not in the paper": "epochs, warmup",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        require_positive(self, "gamma")

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report implicit rewards."""
        chosen, rejected = sides(piece, log_ratios(models, piece))
        values = hinge_norm_loss(chosen, rejected, gamma=self.gamma)
        return Loss.of(values * piece["weight"], **rewards(self.gamma * chosen, self.gamma * rejected))
