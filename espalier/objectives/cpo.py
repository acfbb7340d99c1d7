"""Contrastive Preference Optimization (Xu et al., 2024), arXiv:2401.08417."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from espalier.catalogue import method
from espalier.contracts import Loss, Models
from espalier.train.objective import Pairs, per_token, require_not_negative, require_positive, rewards, sides
from espalier.trees.forest import Forest


def cpo_loss(chosen: Tensor, rejected: Tensor, nll: Tensor, *, beta: float, nll_weight: float = 1.0) -> Tensor:
    """Eq. 5: L_prefer + L_NLL with L_prefer = -log sigmoid(beta * (chosen - rejected)), one value per pair.

    Args:
        chosen: log pi(y_w|x), summed over the completion's tokens, in nats. [B]
        rejected: the same for the rejected completion y_l. [B]
        nll: -log pi(y_w|x), in nats: summed, or the mean per token. [B]
        beta: steepness of the preference; DPO's beta with a uniform distribution as reference.
        nll_weight: weight of L_NLL; 1 in the paper.

    Returns:
        Loss per pair, not reduced. [B]
    """
    return -logsigmoid(beta * (chosen - rejected)) + nll_weight * nll


@method(paper="arXiv:2401.08417")
@dataclass(frozen=True)
class CPO(Pairs):
    """Prefer the chosen completion without a reference model, and imitate it so that it stays likely.

    Inputs: rows with prompt, chosen and rejected. No reference model.
    Relations: DPO with a uniform reference and a term of SFT; SimPO normalizes by length and drops that term.
    Departs from the paper: by default the SFT term is the mean over the completion's tokens, as its authors train it
    (they, and TRL: one mean over all tokens of a micro-batch); `average = false` is the sum as written. The preset's
    learning rate is that of a LoRA of rank 16; it falls by a cosine, theirs by an inverse square root.
    """

    beta: float = 0.1
    nll_weight: float = 1.0
    average: bool = True  # the SFT term per token; false: summed over the completion

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 1e-4, "batch_size": 128, "epochs": 1.0, "warmup": 0.01},
        "small": {"learning_rate": 1e-4, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "Eq. 5": "nll_weight",
            "Section 4.2 (512 tokens)": "beta, batch_size, epochs, warmup",
            "fe1ixxu/ALMA, runs/cpo_ft.sh": "learning_rate",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        require_positive(self, "beta")
        require_not_negative(self, "nll_weight")

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report the SFT term, and the scaled log-probabilities as rewards."""
        logps = models.policy.completion_logps(piece)  # [completions]
        chosen, rejected = sides(piece, logps)
        nll = -sides(piece, per_token(piece, logps) if self.average else logps)[0]
        values = cpo_loss(chosen, rejected, nll, beta=self.beta, nll_weight=self.nll_weight)
        return Loss.of(values * piece["weight"], nll=nll, **rewards(self.beta * chosen, self.beta * rejected))
