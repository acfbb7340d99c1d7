"""The loss of Iterative Reasoning Preference Optimization, "RPO" (Pang et al., 2024), arXiv:2404.19733."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from espalier.catalogue import method
from espalier.contracts import Loss, Models
from espalier.train.objective import PairObjective, per_token, require_not_negative, require_positive, rewards, sides
from espalier.trees.forest import Forest


def rpo_loss(chosen: Tensor, rejected: Tensor, mean_logp: Tensor, *, beta: float, nll_weight: float) -> Tensor:
    """Eq. 1: -log sigmoid(beta * (chosen - rejected)) - alpha * log pi(y_w|x) / |y_w|, one value per pair.

    Args:
        chosen: log pi(y_w|x) - log pi_ref(y_w|x), summed over the completion's tokens, in nats. [B]
        rejected: the same for the rejected completion y_l. [B]
        mean_logp: log pi(y_w|x) / |y_w|, in nats per token. [B]
        beta: strength of the pull to the reference.
        nll_weight: alpha, the weight of the negative log-likelihood.

    Returns:
        Loss per pair, not reduced. [B]
    """
    return -logsigmoid(beta * (chosen - rejected)) - nll_weight * mean_logp


@method(paper="arXiv:2404.19733")
@dataclass(frozen=True)
class RPO(PairObjective):
    """Fit preferences and go on imitating the chosen completion, which DPO alone may make less likely.

    Inputs: rows with prompt, chosen and rejected; a reference model.
    Relations: DPO with a term of SFT; CPO and ORPO have that term and no reference.
    Departs from the paper: one round on given rows; its iterations draw new pairs from each round's model, and train
    on them for at most 5,000 steps, as many as held-back rows say.
    """

    beta: float = 0.1
    nll_weight: float = 1.0  # alpha in the paper

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 7e-7, "batch_size": 16, "epochs": 1.0, "warmup": 0.0},
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "Section 3.1": "beta, nll_weight, learning_rate, batch_size",
            "not in the paper": "epochs, warmup",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        require_positive(self, "beta")
        require_not_negative(self, "nll_weight")

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report implicit rewards."""
        logps = models.policy.completion_logps(piece)  # [completions]
        chosen, rejected = sides(piece, logps - piece["reference_logps"])
        mean_logp, _ = sides(piece, per_token(piece, logps))
        values = rpo_loss(chosen, rejected, mean_logp, beta=self.beta, nll_weight=self.nll_weight)
        reported = rewards(self.beta * chosen, self.beta * rejected)
        return Loss.of(values * piece["weight"], nll=-mean_logp, **reported)
