"""Identity Preference Optimization (Azar et al., 2023), arXiv:2310.12036."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from espalier.catalogue import method
from espalier.contracts import Loss, Models
from espalier.train.objective import PairObjective, log_ratios, per_token, require_positive, rewards, sides
from espalier.trees.forest import Forest


def ipo_loss(chosen: Tensor, rejected: Tensor, *, tau: float) -> Tensor:
    """Eq. 17: (h - 1 / (2 tau))^2 with h = chosen - rejected, one value per pair.

    Args:
        chosen: log pi(y_w|x) - log pi_ref(y_w|x), in nats: summed over the completion, or its mean per token. [B]
        rejected: the same for the rejected completion y_l. [B]
        tau: strength of the pull to the reference; the loss wants h to be 1 / (2 tau), and no more.

    Returns:
        Loss per pair, not reduced. [B]
    """
    return (chosen - rejected - 1 / (2 * tau)).square()


@method(paper="arXiv:2310.12036")
@dataclass(frozen=True)
class IPO(PairObjective):
    """Pull each pair apart by a fixed margin and no further, so that pairs everyone agrees on cannot run away.

    Inputs: rows with prompt, chosen and rejected; a reference model.
    Relations: DPO's logistic loss is never satisfied with a margin; HingeNorm stops pushing too, but never pulls back.
    Departs from the paper: by default a log-ratio is the mean over the completion's tokens; eq. 17 has their sum, its
    authors' reported results the mean. `average = false` is the sum as written, with margins of the same 1 / (2 tau)
    for a whole completion. The paper trains bandits only: the preset `paper` is DPO's (arXiv:2305.18290).
    """

    tau: float = 0.1
    average: bool = True  # log-ratios per token; false: summed over the completion

    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 1e-6, "batch_size": 64, "epochs": 1.0, "warmup": 150, "schedule": "constant"},
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "not in the paper: Appendix B of DPO's": "learning_rate, batch_size, warmup",
            "not in the paper: eric-mitchell/direct-preference-optimization": "epochs, schedule",
            "not in the paper: ContextualAI/HALOs, config/loss/ipo.yaml": "tau, average",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        require_positive(self, "tau")

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report implicit rewards."""
        ratios = log_ratios(models, piece)
        chosen, rejected = sides(piece, per_token(piece, ratios) if self.average else ratios)
        values = ipo_loss(chosen, rejected, tau=self.tau)
        return Loss.of(values * piece["weight"], **rewards(self.tau * chosen, self.tau * rejected))
