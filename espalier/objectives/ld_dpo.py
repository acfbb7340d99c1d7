"""Length-Desensitized DPO, "LD-DPO" (Liu et al., 2024), arXiv:2409.06411."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from espalier.catalogue import method
from espalier.contracts import Frozen, Loss, Models, Step
from espalier.train.objective import Pairs, require_positive, require_share, rewards, sides
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree


def desensitized(token_logps: Tensor, verbose: Tensor, *, alpha: float) -> Tensor:
    """log p^(y_t): a token's log-probability, times alpha beyond the length that both completions reach.

    Args:
        token_logps: log-probabilities of the counted tokens, in nats. [T]
        verbose: whether a token stands beyond the shorter completion's length. [T]
        alpha: share that is left of them; 1 is DPO, 0 ignores them.

    Returns:
        Log-probability per token, not reduced. [T]
    """
    return torch.where(verbose, alpha * token_logps, token_logps)


def ld_dpo_loss(chosen: Tensor, rejected: Tensor, *, beta: float) -> Tensor:
    """-log sigmoid(beta * (chosen - rejected)), DPO's loss of desensitized likelihoods, one value per pair.

    Args:
        chosen: log p^(y_w|x) under the policy minus the same under the reference, in nats. [B]
        rejected: the same for the rejected completion y_l. [B]
        beta: strength of the pull to the reference.

    Returns:
        Loss per pair, not reduced. [B]
    """
    return -logsigmoid(beta * (chosen - rejected))


@method(paper="arXiv:2409.06411")
@dataclass(frozen=True)
class LDDPO(Pairs):
    """Fit preferences while what one completion has beyond the other's length counts less.

    Inputs: rows with prompt, chosen and rejected; a reference model.
    Relations: DPO at alpha = 1; DPONorm divides each side by its own length instead.
    Libraries disagree whether alpha applies to the reference too; here it does, as in TRL: with the policy alone, an
    untouched policy would already prefer one side.
    Departs from the paper: the preset `paper` is Zephyr's, since its own learning rate and batch are not verified;
    its best alpha differs by model.
    """

    alpha: float = 0.5  # weight of tokens beyond the shorter completion's length
    beta: float = 0.1

    reference: ClassVar[Frozen] = Frozen()
    loss_at_start: ClassVar[float | None] = math.log(2)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 5e-7, "batch_size": 32, "epochs": 1.0, "warmup": 0.1, "schedule": "linear"},
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "hyperparameter study (Llama 3 8B Instruct)": "alpha",
            "not verified: arXiv:2310.16944, Section 4.4": "beta, learning_rate, batch_size, epochs, warmup, schedule",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        require_positive(self, "beta")
        require_share(self, "alpha")

    def prepare(self, trees: Sequence[Tree], models: Models, step: Step) -> Forest:
        """Plant, count, mark the verbose tokens, and add the reference's desensitized log-probabilities."""
        forest = super().prepare(trees, models, step)
        lengths, owner = forest.lengths, forest.completion_of
        shared = lengths.clone()  # [completions]
        chosen, rejected = forest["chosen"], forest["rejected"]
        shared[chosen] = shared[rejected] = torch.minimum(lengths[chosen], lengths[rejected])
        position = torch.arange(len(owner), device=owner.device) - (lengths.cumsum(0) - lengths)[owner]  # [tokens]
        forest.put("verbose", position >= shared[owner], level="token")
        logps = desensitized(step.reference_logps(forest, models), forest["verbose"], alpha=self.alpha)
        forest.put("reference_logps", forest.sum_tokens(logps), level="completion")
        return forest

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the pairs' losses; report implicit rewards."""
        logps = desensitized(models.policy.token_logps(piece), piece["verbose"].bool(), alpha=self.alpha)
        chosen, rejected = sides(piece, piece.sum_tokens(logps) - piece["reference_logps"])
        values = ld_dpo_loss(chosen, rejected, beta=self.beta)
        return Loss.of(values * piece["weight"], **rewards(self.beta * chosen, self.beta * rejected))
