"""Odds Ratio Preference Optimization (Hong et al., 2024), arXiv:2403.07691."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from espalier.catalogue import method
from espalier.contracts import Loss, Models
from espalier.maths.odds import log_odds
from espalier.train.objective import Pairs, per_token, require_not_negative, rewards, sides
from espalier.trees.forest import Forest


def odds_ratio_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Eq. 7, L_OR: -log sigmoid(log odds(y_w) - log odds(y_l)), odds = p / (1 - p), log p = log pi(y|x) / |y|.

    Args:
        chosen: log p of the chosen completion y_w: its mean per token, in nats. [B]
        rejected: the same for the rejected completion y_l. [B]

    Returns:
        Loss per pair, not reduced. [B]
    """
    return -logsigmoid(log_odds(chosen) - log_odds(rejected))


def orpo_loss(chosen: Tensor, rejected: Tensor, *, odds_weight: float) -> Tensor:
    """Eq. 6: L_SFT + lambda * L_OR with L_SFT = -log p(y_w|x), one value per pair.

    Args:
        chosen: log p of the chosen completion y_w: its mean per token, in nats. [B]
        rejected: the same for the rejected completion y_l. [B]
        odds_weight: lambda, the weight of the odds ratio.

    Returns:
        Loss per pair, not reduced. [B]
    """
    return -chosen + odds_weight * odds_ratio_loss(chosen, rejected)


@method(paper="arXiv:2403.07691")
@dataclass(frozen=True)
class ORPO(Pairs):
    """Imitate the chosen completion and, in the same stage, make its odds exceed those of the rejected one.

    Inputs: rows with prompt, chosen and rejected. No reference model, and no SFT stage before it.
    Relations: CPO sums log-probabilities and has no odds; DPO needs a reference and a model after SFT.
    Departs from the paper: nothing of eq. 6. Its authors' code, and TRL's, take the SFT term over prompt and
    completion, and as one mean over the tokens of a micro-batch; here it is each chosen completion's own mean. The
    preset's learning rate falls by a cosine, the paper's by an inverse square root.
    """

    odds_weight: float = 0.1  # lambda in the paper: 0.1 for Mistral, 0.2 for Llama 2, 0.25 for Phi-2

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 5e-6, "batch_size": 32, "epochs": 5.0, "warmup": 200},
        "small": {"learning_rate": 1e-4, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "Section 6.1 (Mistral)": "odds_weight",
            "xfactlab/orpo, scripts/run_mistral_orpo_beta.sh (2,048 tokens)": (
                "learning_rate, batch_size, epochs, warmup"
            ),
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        require_not_negative(self, "odds_weight")

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report both terms, and the weighted log-probabilities as rewards."""
        chosen, rejected = sides(piece, per_token(piece, models.policy.completion_logps(piece)))
        values = orpo_loss(chosen, rejected, odds_weight=self.odds_weight)
        reported = rewards(self.odds_weight * chosen, self.odds_weight * rejected)
        ratio = log_odds(chosen) - log_odds(rejected)
        return Loss.of(values * piece["weight"], nll=-chosen, log_odds_ratio=ratio, **reported)
