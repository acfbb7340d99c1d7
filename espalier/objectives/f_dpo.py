"""Direct Preference Optimization under other divergences, "f-DPO" (Wang et al., 2023), arXiv:2309.16240."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor
from torch.nn.functional import logsigmoid

from espalier.catalogue import method
from espalier.contracts import Loss, Models
from espalier.errors import RecipeError
from espalier.maths.divergences import derivative
from espalier.train.objective import PairObjective, log_ratios, require_positive, rewards, sides
from espalier.trees.forest import Forest


def f_dpo_loss(chosen: Tensor, rejected: Tensor, *, beta: float) -> Tensor:
    """-log sigmoid(beta f'(u_w) - beta f'(u_l)) with u = pi(y|x) / pi_ref(y|x), one value per pair.

    Args:
        chosen: f'(u_w), from `espalier.maths.divergences.derivative`. [B]
        rejected: f'(u_l). [B]
        beta: strength of the pull to the reference.

    Returns:
        Loss per pair, not reduced. [B]
    """
    return -logsigmoid(beta * (chosen - rejected))


@method(paper="arXiv:2309.16240")
@dataclass(frozen=True)
class FDPO(PairObjective):
    """Fit preferences with another f-divergence than the reverse KL holding the policy to its reference.

    Inputs: rows with prompt, chosen and rejected; a reference model.
    Relations: with reverse_kl it is DPO; jensen_shannon caps what raising the chosen completion can earn.
    Departs from the paper: exponents end at 80, where float32 would overflow (forward_kl and alpha only). It compares
    divergences and fixes none; its training is that of the code of DPO's authors, on which it builds.
    """

    divergence: Literal["reverse_kl", "forward_kl", "jensen_shannon", "alpha"] = "jensen_shannon"
    alpha: float = 0.5  # of the alpha-divergence: towards 0 the reverse KL, towards 1 the forward KL
    beta: float = 0.1

    loss_at_start: ClassVar[float | None] = math.log(2)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "learning_rate": 5e-7,
            "batch_size": 64,
            "epochs": 1.0,
            "warmup": 150,
            "schedule": "constant",
            "max_norm": 10.0,
        },
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "eric-mitchell/direct-preference-optimization, config/config.yaml": (
                "learning_rate, epochs, warmup, schedule, max_norm"
            ),
            "eric-mitchell/direct-preference-optimization, README.md": "beta, batch_size",
            "not in the paper": "divergence, alpha",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        require_positive(self, "beta")
        if not 0 < self.alpha < 1:
            raise RecipeError(
                f"objectives/f_dpo: alpha must be above 0 and below 1, not {self.alpha!r}. "
                "At 0 the divergence is reverse_kl, at 1 it is forward_kl."
            )

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report implicit rewards."""
        scores = derivative(log_ratios(models, piece), divergence=self.divergence, alpha=self.alpha)  # [completions]
        chosen, rejected = sides(piece, scores)
        values = f_dpo_loss(chosen, rejected, beta=self.beta)
        return Loss.of(values * piece["weight"], **rewards(self.beta * chosen, self.beta * rejected))
