"""Sequence Likelihood Calibration with Human Feedback, "SLiC-HF" (Zhao et al., 2023), arXiv:2305.10425."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, relu

from espalier.catalogue import method
from espalier.contracts import Loss, Models
from espalier.train.objective import Pairs, require_not_negative, require_positive, rewards, sides
from espalier.trees.forest import Forest


def slic_loss(chosen: Tensor, rejected: Tensor, target: Tensor, *, delta: float, regularization: float) -> Tensor:
    """Eq. 4: max(0, delta - log pi(y+|x) + log pi(y-|x)) - lambda * log pi(y_ref|x), one value per pair.

    Args:
        chosen: log pi(y+|x), summed over the completion's tokens, in nats. [B]
        rejected: the same for the rejected completion y-. [B]
        target: the same for y_ref, the completion that the regularizer imitates. [B]
        delta: a pair that is this far apart, in nats, is left alone.
        regularization: lambda, the weight of the regularizer.

    Returns:
        Loss per pair, not reduced. [B]
    """
    return relu(delta - chosen + rejected) - regularization * target


@method(paper="arXiv:2305.10425")
@dataclass(frozen=True)
class SLiC(Pairs):
    """Push each pair apart until the chosen completion leads by a margin, and go on imitating it.

    Inputs: rows with prompt, chosen and rejected. No reference model.
    Relations: HingeNorm measures both sides against a reference instead of regularizing; CPO is logistic.
    Departs from the paper: the completion to imitate is the chosen one; the paper's is an SFT target of its own. It
    does not say what lambda is; the default is that of the authors of KTO, who compare with it.
    """

    delta: float = 1.0  # wanted margin, in nats
    regularization: float = 0.1  # lambda in the paper; 0 for the hinge alone

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 1e-5, "batch_size": 32, "epochs": 1.0, "warmup": 0.1},
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "Section 3.2": "delta, learning_rate, batch_size",
            "not in the paper: ContextualAI/HALOs, config/loss/slic.yaml": "regularization",
            "not in the paper": "epochs, warmup",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        require_positive(self, "delta")
        require_not_negative(self, "regularization")

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report log-probabilities as rewards."""
        chosen, rejected = sides(piece, models.policy.completion_logps(piece))
        values = slic_loss(chosen, rejected, chosen, delta=self.delta, regularization=self.regularization)
        return Loss.of(values * piece["weight"], **rewards(chosen, rejected))
