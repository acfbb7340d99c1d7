"""Simple Preference Optimization (Meng et al., 2024), arXiv:2405.14734."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from espalier.catalogue import method
from espalier.contracts import Loss, Models
from espalier.train.objective import Pairs, per_token, require_not_negative, require_positive, rewards, sides
from espalier.trees.forest import Forest


def simpo_loss(chosen: Tensor, rejected: Tensor, *, beta: float, gamma_beta_ratio: float) -> Tensor:
    """Eq. 6: -log sigmoid(beta * chosen - beta * rejected - gamma), one value per pair.

    Args:
        chosen: log pi(y_w|x) / |y_w|, in nats per token. [B]
        rejected: the same for the rejected completion y_l, by its own length. [B]
        beta: scale of the reward; 2 to 2.5 in the paper.
        gamma_beta_ratio: gamma / beta, the margin wanted between both sides, in nats per token.

    Returns:
        Loss per pair, not reduced. [B]
    """
    return -logsigmoid(beta * (chosen - rejected - gamma_beta_ratio))


@method(paper="arXiv:2405.14734")
@dataclass(frozen=True)
class SimPO(Pairs):
    """Make the chosen completion likelier per token than the rejected one by a margin, without a reference model.

    Inputs: rows with prompt, chosen and rejected. No reference model.
    Relations: DPONorm normalizes by length too, against a reference; CPO sums and keeps imitating the chosen one.
    """

    beta: float = 2.0
    gamma_beta_ratio: float = 0.5  # gamma / beta: 0.5 for Llama-3-Base, 0.8 for Mistral-Base

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 6e-7, "batch_size": 128, "epochs": 1.0, "warmup": 0.1},
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "princeton-nlp/SimPO, training_configs/llama-3-8b-base-simpo.yaml (2,048 tokens)": (
                "beta, gamma_beta_ratio, learning_rate, batch_size, epochs, warmup"
            ),
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        require_positive(self, "beta")
        require_not_negative(self, "gamma_beta_ratio")

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report the rewards."""
        chosen, rejected = sides(piece, per_token(piece, models.policy.completion_logps(piece)))
        values = simpo_loss(chosen, rejected, beta=self.beta, gamma_beta_ratio=self.gamma_beta_ratio)
        return Loss.of(values * piece["weight"], **rewards(self.beta * chosen, self.beta * rejected))
