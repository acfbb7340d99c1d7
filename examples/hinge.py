"""A method from outside the package: the hinge loss on preferences (Zhao et al., 2023, SLiC-HF), arXiv:2305.10425."""

from dataclasses import dataclass

from torch import Tensor, relu

from espalier.catalogue import method
from espalier.contracts import Loss, Models
from espalier.train.objective import PairObjective
from espalier.trees.forest import Forest


def hinge_loss(chosen: Tensor, rejected: Tensor, *, margin: float) -> Tensor:
    """The calibration loss: max(0, margin - (chosen - rejected)), one value per pair.

    Args:
        chosen: log pi(y_w|x) - log pi_ref(y_w|x), in nats. [B]
        rejected: the same for the rejected completion y_l. [B]
        margin: a pair that is this far apart, in nats, is left alone.

    Returns:
        Loss per pair, not reduced. [B]
    """
    return relu(margin - (chosen - rejected))


@method(paper="arXiv:2305.10425")
@dataclass(frozen=True)
class Hinge(PairObjective):
    """Push each pair apart until the chosen completion leads by a margin, then leave it alone.

    Inputs: rows with prompt, chosen and rejected; a reference model.
    Relations: DPO has a logistic loss in place of the hinge, and never stops pushing.
    Departs from the paper: log-ratios to the reference in place of log-probabilities and a separate regularizer.
    """

    margin: float = 5.0

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report how many are in order."""
        log_ratio = models.policy.completion_logps(piece) - piece["reference_logps"]  # [completions]
        chosen, rejected = log_ratio[piece["chosen"]], log_ratio[piece["rejected"]]  # [pairs]
        values = hinge_loss(chosen, rejected, margin=self.margin)
        return Loss.of(values * piece["weight"], accuracy=(chosen > rejected).float())
