"""Direct Preference Optimization (Rafailov et al., 2023), arXiv:2305.18290."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor
from torch.nn.functional import logsigmoid

from espalier.catalogue import method
from espalier.contracts import Loss, Models
from espalier.errors import RecipeError
from espalier.train.objective import PairObjective
from espalier.trees.forest import Forest


def dpo_loss(chosen: Tensor, rejected: Tensor, *, beta: float, label_smoothing: float = 0.0) -> Tensor:
    """Eq. 7: -log sigmoid(beta * (chosen - rejected)), one value per pair.

    With label smoothing e (Mitchell 2023, "cDPO", eq. 3) the labels are wrong with probability e:
    -(1 - e) log sigmoid(beta * d) - e log sigmoid(-beta * d), d = chosen - rejected.

    Args:
        chosen: log pi(y_w|x) - log pi_ref(y_w|x), summed over the completion's tokens, in nats. [B]
        rejected: the same for the rejected completion y_l. [B]
        beta: strength of the pull to the reference; 0.1 to 0.5 is usual.
        label_smoothing: assumed share of swapped labels, 0 to 0.5.

    Returns:
        Loss per pair, not reduced. [B]
    """
    margin = beta * (chosen - rejected)
    return -(1 - label_smoothing) * logsigmoid(margin) - label_smoothing * logsigmoid(-margin)


@method(paper="arXiv:2305.18290")
@dataclass(frozen=True)
class DPO(PairObjective):
    """Fit preferences directly: a logistic loss on each pair's policy-to-reference log-ratio.

    Inputs: rows with prompt, chosen and rejected; a reference model.
    Relations: IPO squares the same margin instead of saturating; ORPO and SimPO need no reference.
    Departs from the paper: AdamW instead of RMSprop (as its successors do); label smoothing is an option, off.
    """

    beta: float = 0.1
    label_smoothing: float = 0.0  # assumed share of swapped labels (cDPO)

    loss_at_start: ClassVar[float | None] = math.log(2)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "learning_rate": 1e-6,
            "batch_size": 64,
            "epochs": 1.0,
            "warmup": 150,
            "schedule": "constant",
            "max_norm": 10.0,
        },
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
        "zephyr": {
            "beta": 0.1, "learning_rate": 5e-7, "batch_size": 32, "epochs": 3.0, "warmup": 0.1, "schedule": "linear",
        },
        "handbook": {
            "beta": 0.01, "learning_rate": 5e-7, "batch_size": 128, "epochs": 1.0, "warmup": 0.1, "schedule": "cosine",
            "max_tokens": 1024,
        },
    }  # fmt: skip
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "Appendix B": "beta, learning_rate, batch_size, warmup",
            "eric-mitchell/direct-preference-optimization, config/config.yaml": "epochs, schedule, max_norm",
        },
        "zephyr": {
            "arXiv:2310.16944, Section 4.4": "beta, learning_rate, batch_size, epochs, warmup, schedule",
        },
        "handbook": {
            "huggingface/alignment-handbook, recipes/zephyr-7b-beta/dpo/config_full.yaml (8 GPUs)": (
                "beta, learning_rate, batch_size, epochs, warmup, schedule, max_tokens"
            ),
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        if not self.beta > 0 or not 0 <= self.label_smoothing < 0.5:
            raise RecipeError(
                "objectives/dpo: beta must be above 0 and label_smoothing from 0 up to, not including, 0.5."
            )

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report implicit rewards."""
        log_ratio = models.policy.completion_logps(piece) - piece["reference_logps"]  # [completions]
        chosen, rejected = log_ratio[piece["chosen"]], log_ratio[piece["rejected"]]  # [pairs]
        values = dpo_loss(chosen, rejected, beta=self.beta, label_smoothing=self.label_smoothing)
        return Loss.of(
            values * piece["weight"],
            accuracy=(chosen > rejected).float(),
            margin=self.beta * (chosen - rejected),
            chosen_reward=self.beta * chosen,
            rejected_reward=self.beta * rejected,
        )
