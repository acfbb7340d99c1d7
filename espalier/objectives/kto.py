"""Kahneman-Tversky Optimization (Ethayarajh et al., 2024), arXiv:2402.01306."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from espalier.catalogue import method
from espalier.contracts import Frozen, Loss, Models, Step
from espalier.errors import RecipeError
from espalier.train.unpaired import UnpairedObjective, both_labels, drift, label_metrics
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree

FEW = 100  # answers of one label, below which there is little to learn from


def kto_loss(
    log_ratio: Tensor, desirable: Tensor, z0: Tensor, *, beta: float, desirable_weight: float, undesirable_weight: float
) -> Tensor:
    """Eq. 8: lambda_y - v, with v = lambda_D sigmoid(beta (r - z0)) or lambda_U sigmoid(beta (z0 - r)).

    Args:
        log_ratio: r = log pi(y|x) - log pi_ref(y|x), summed over the completion's tokens, in nats. [B]
        desirable: whether y is liked. [B]
        z0: KL(pi || pi_ref) of the batch, in nats, at least 0, without a gradient. [B] or []
        beta: risk aversion, and strength of the pull to the reference.
        desirable_weight: lambda_D.
        undesirable_weight: lambda_U.

    Returns:
        Loss per completion, not reduced. [B]
    """
    sign = torch.where(desirable, 1.0, -1.0).to(log_ratio.dtype)
    weight = torch.where(desirable, desirable_weight, undesirable_weight).to(log_ratio.dtype)
    return weight * torch.sigmoid(-sign * beta * (log_ratio - z0))  # 1 - sigmoid(a) = sigmoid(-a), without cancellation


def balanced_weights(desirable: int, undesirable: int) -> tuple[float, float]:
    """Eq. 9: lambda_D and lambda_U, one of them 1, with lambda_D n_D / (lambda_U n_U) in [1, 4/3].

    Args:
        desirable: n_D, completions that are liked, at least 1.
        undesirable: n_U, completions that are not, at least 1.
    """
    ratio = desirable / undesirable
    return max(1.0, 1 / ratio), max(1.0, 3 / 4 * ratio)


@method(paper="arXiv:2402.01306")
@dataclass(frozen=True)
class KTO(UnpairedObjective):
    """Weigh each answer by itself: a liked one gains, a disliked one loses, less and less far from the reference.

    Inputs: rows with prompt, completion and label (true or false), or pairs, which count as two answers; a reference
    model, in memory while training, for z0 is not the same twice.
    Relations: DPO compares the two answers of a pair and saturates on one side only.
    Departs from the paper: y' is drawn over the whole optimizer batch instead of a micro-batch, never from the same
    prompt while others are there, and loses what is beyond the model's context; the weights follow from the counts,
    within the first version's interval [1, 4/3] (later ones say 3/2); a last batch of one answer has z0 = 0. The
    preset is what later versions advise; their own comparisons have DPO's 5e-7 and RMSprop.
    """

    beta: float = 0.1
    desirable_weight: float | None = None  # lambda_D; both weights from the counts
    undesirable_weight: float | None = None  # lambda_U

    reference: ClassVar[Frozen] = Frozen(live=True)
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 5e-6, "batch_size": 32, "epochs": 1.0, "warmup": 0.1, "schedule": "constant"},
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "Table 1 (Llama 3 8B)": "beta, learning_rate, batch_size, epochs",
            "ContextualAI/HALOs, config/config.yaml and launch.py": "warmup, schedule",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        weights = [weight for weight in (self.desirable_weight, self.undesirable_weight) if weight is not None]
        if not self.beta > 0 or len(weights) == 1 or not all(weight > 0 for weight in weights):
            raise RecipeError("objectives/kto: beta and the weights must be above 0; give both weights or neither.")

    def settle(self, trees: Iterable[Tree], batch_size: int) -> tuple[KTO, str]:
        """The weights that follow from the labels, and a sentence that says so."""
        liked, disliked = both_labels(self, trees, batch_size)
        weights = balanced_weights(liked, disliked)
        if self.desirable_weight is not None and self.undesirable_weight is not None:
            weights = self.desirable_weight, self.undesirable_weight
        told = f"{liked:,} liked and {disliked:,} disliked answers, weights {weights[0]:.4g} and {weights[1]:.4g}"
        few = f"; under {FEW} of one kind, expect little" if min(liked, disliked) < FEW else ""
        return replace(self, desirable_weight=weights[0], undesirable_weight=weights[1]), told + few

    def prepare(self, trees: Sequence[Tree], models: Models, step: Step) -> Forest:
        """Add the reference's log-probabilities of the answers, and z0."""
        forest = super().prepare(trees, models, step)
        logps = forest.sum_tokens(step.reference_logps(forest, models))
        forest.put("reference_logps", logps, level="completion")
        z0 = torch.full((forest.examples,), drift(trees, models, step), dtype=torch.double)
        forest.put("z0", z0, level="example")
        return forest

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum the completions' losses; report z0 and the implicit rewards of either label."""
        log_ratio = models.policy.completion_logps(piece) - piece["reference_logps"]  # [completions]
        owner, label = piece.owner("completion"), piece["label"].bool()
        z0 = piece["z0"][owner].to(log_ratio.dtype)
        liked, disliked = self.desirable_weight or 1.0, self.undesirable_weight or 1.0
        values = kto_loss(log_ratio, label, z0, beta=self.beta, desirable_weight=liked, undesirable_weight=disliked)
        reward = self.beta * log_ratio
        metrics = label_metrics(piece, reward=reward, right=(log_ratio > z0) == label)
        return Loss.of(values * piece["weight"][owner], kl=piece["z0"], **metrics)
