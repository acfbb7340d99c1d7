"""Unlikelihood training (Welleck et al., 2019), arXiv:1908.04319."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from espalier.catalogue import method
from espalier.contracts import Loss, Models, Step, Term
from espalier.errors import RecipeError
from espalier.train.objective import per_example
from espalier.train.unpaired import UnpairedObjective
from espalier.trees.forest import Forest
from espalier.trees.logps import Contextual
from espalier.trees.tree import Tree


def unlikelihood_loss(logits: Tensor, negatives: Tensor) -> Tensor:
    """Section 5.1, L_UL: -sum over c in C of log(1 - p(c | x_<t)), one value per position.

    Exact for p -> 1: only the likeliest token can be near 1, and its 1 - p is the sum over all others.

    Args:
        logits: of the next token. [T, V]
        negatives: the set C, tokens that should not come next. [T, V] of truth values

    Returns:
        Loss per position in nats, not reduced. [T]
    """
    logps = torch.log_softmax(logits, -1)
    top = logits.argmax(-1, keepdim=True)
    rest = torch.logsumexp(logps.scatter(1, top, -torch.inf), -1, keepdim=True)  # log(1 - p) of the likeliest
    others = torch.log1p(-logps.exp().scatter(1, top, 0.0))  # their p is at most 1/2
    return -torch.where(negatives, others.scatter(1, top, rest), 0.0).sum(-1)


def repeats(logits: Tensor, targets: Tensor, seen: Tensor) -> Tensor:
    """Section 5.1, C_prev-context: the negatives are the tokens so far, prompt included, but for the target itself."""
    return unlikelihood_loss(logits, seen.scatter(1, targets[:, None], False))


def itself(logits: Tensor, targets: Tensor) -> Tensor:
    """Section 5.2, L_ULS of a whole completion: the one negative of each position is the token that stands there."""
    return unlikelihood_loss(logits, torch.zeros_like(logits, dtype=torch.bool).scatter(1, targets[:, None], True))


@method(paper="arXiv:1908.04319")
@dataclass(frozen=True)
class Unlikelihood(UnpairedObjective):
    """Imitate, and at each position push down what came before; of a disliked answer, push down every token.

    Inputs: rows with prompt, completion and, where an answer is disliked, label false; pairs count as one of each.
    Relations: SFT is its first term alone; KTO stops pushing where the answer has become unlikely enough.
    Departs from the paper: its sequence-level negatives are repeated n-grams of continuations sampled while training;
    here they are the answers with label false, whole, as in Li et al. (2019, "Don't Say That!", arXiv:1911.03860).
    The three terms are means over their own tokens. The preset is that of the authors' script for GPT-2; their own
    language models are trained from nothing.
    """

    alpha: float = 1.0  # weight of the repetition term; 0 leaves it out
    disliked_weight: float = 1.0  # of the tokens of disliked answers

    needs: ClassVar[tuple[str, ...]] = ("prompt", "completion")
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 6.25e-5, "batch_size": 1, "epochs": 1.0, "warmup": 0.0, "schedule": "linear"},
        "small": {"learning_rate": 5e-5, "batch_size": 16, "epochs": 1.0, "warmup": 0.03},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "small": {"docs/objectives_measured.md, four times as much at a width of 256": "learning_rate"},
        "paper": {
            "facebookresearch/unlikelihood_training, README.md": "alpha",
            "facebookresearch/unlikelihood_training, custom/gpt2/run_gpt2.py (300 tokens)": (
                "learning_rate, batch_size, epochs, warmup, schedule"
            ),
            "not in the paper": "disliked_weight",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        if self.alpha < 0 or self.disliked_weight < 0:
            raise RecipeError("objectives/unlikelihood: alpha and disliked_weight must be 0 or more.")

    def prepare(self, trees: Sequence[Tree], models: Models, step: Step) -> Forest:
        """Count the tokens of liked and of disliked answers, each with its row's weight."""
        forest = super().prepare(trees, models, step)
        liked, weight = self._liked(forest), forest["weight"][forest.owner("token")].double()
        for name, part in (("likelihood", liked), ("repetition", liked), ("disliked", ~liked)):
            forest.count(name, per_example(forest, weight * part))
        return forest

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Sum over the counted tokens of each kind."""
        liked, weight = self._liked(piece), piece["weight"][piece.owner("token")]
        functionals: dict[str, Any] = {"repetition": Contextual(repeats)} if self.alpha else {}
        functionals |= {} if bool(liked.all()) else {"disliked": itself}
        found = models.policy.answers(piece, functionals)
        none = 0 * found["logps"]
        values = {
            "likelihood": -found["logps"] * liked,
            "repetition": found.get("repetition", none) * liked,
            "disliked": found.get("disliked", none) * ~liked,
        }
        weights = {"likelihood": 1.0, "repetition": self.alpha, "disliked": self.disliked_weight}
        return Loss({name: Term((v * weight).sum(), weights[name]) for name, v in values.items()})

    def _liked(self, forest: Forest) -> Tensor:
        """Whether each counted token belongs to a liked answer. [tokens]"""
        return forest["label"].bool()[forest.completion_of]
