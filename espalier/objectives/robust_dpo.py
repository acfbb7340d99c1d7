"""Robust Direct Preference Optimization, "rDPO" (Chowdhury et al., 2024), arXiv:2403.00409."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from espalier.catalogue import method
from espalier.contracts import Loss, Models
from espalier.train.objective import PairObjective, log_ratios, require_positive, require_share, rewards, sides
from espalier.trees.forest import Forest


def robust_dpo_loss(chosen: Tensor, rejected: Tensor, *, beta: float, label_smoothing: float) -> Tensor:
    """Section 3.1: ((1 - e) L(m) - e L(-m)) / (1 - 2e), L(m) = -log sigmoid(m), m = beta * (chosen - rejected).

    Where labels are swapped with probability e, its expectation is DPO's loss on the true labels.

    Args:
        chosen: log pi(y_w|x) - log pi_ref(y_w|x), summed over the completion's tokens, in nats. [B]
        rejected: the same for the rejected completion y_l. [B]
        beta: strength of the pull to the reference.
        label_smoothing: e, the share of swapped labels, 0 up to, not including, 0.5.

    Returns:
        Loss per pair, not reduced; below 0, and without a bound, where a margin is large. [B]
    """
    margin = beta * (chosen - rejected)
    as_given, swapped = -logsigmoid(margin), -logsigmoid(-margin)
    return ((1 - label_smoothing) * as_given - label_smoothing * swapped) / (1 - 2 * label_smoothing)


@method(paper="arXiv:2403.00409")
@dataclass(frozen=True)
class RobustDPO(PairObjective):
    """Fit preferences of which a known share is swapped, without bias: each pair also unlearns its own reversal.

    Inputs: rows with prompt, chosen and rejected; a reference model.
    Relations: DPO with label smoothing (cDPO) assumes the same noise and is biased towards indifference.
    Departs from the paper: one epoch instead of 1,000 steps.
    """

    beta: float = 0.1
    label_smoothing: float = 0.1  # share of swapped labels

    loss_at_start: ClassVar[float | None] = math.log(2)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 1e-3, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "Table 4 (512 tokens)": "beta, learning_rate, batch_size",
            "Section 6": "label_smoothing",
            "not in the paper": "epochs, warmup",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        require_positive(self, "beta")
        require_share(self, "label_smoothing", 0.5)

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report implicit rewards."""
        chosen, rejected = sides(piece, log_ratios(models, piece))
        values = robust_dpo_loss(chosen, rejected, beta=self.beta, label_smoothing=self.label_smoothing)
        return Loss.of(values * piece["weight"], **rewards(self.beta * chosen, self.beta * rejected))
