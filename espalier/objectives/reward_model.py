"""Reward modeling from comparisons (Ouyang et al., 2022, "InstructGPT"), arXiv:2203.02155."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from espalier.catalogue import method
from espalier.contracts import Loss, Models, Row, Scalar
from espalier.errors import RecipeError, RowError
from espalier.train.objective import Objective, require
from espalier.trees.forest import Forest
from espalier.trees.tree import Field, Tree

if TYPE_CHECKING:
    from espalier.render import Renderer


def bradley_terry_loss(
    chosen: Tensor, rejected: Tensor, *, margin: Tensor | float = 0.0, center: float = 0.0
) -> Tensor:
    """Eq. 1: -log sigmoid(chosen - rejected), one value per comparison; for Llama 2 (eq. 2) with a margin in it.

    -log sigmoid(chosen - rejected - margin) + center * (chosen + rejected)^2

    Args:
        chosen: score r(x, y_w) of the better completion. [C]
        rejected: score r(x, y_l) of the worse one. [C]
        margin: m(r), how much better it is said to be. [C] or a number
        center: pulls scores to a mean of 0 (Eisenstein et al., 2023, arXiv:2312.09244); 0.01 there.

    Returns:
        Loss per comparison, not reduced. [C]
    """
    return -logsigmoid(chosen - rejected - margin) + center * (chosen + rejected).square()


@method(paper="arXiv:2203.02155")
@dataclass(frozen=True)
class RewardModel(Objective):
    """Learn a score for completions: of two that were compared, the better one's is higher.

    All comparisons of a prompt are one example, weigh one together, and its completions are each scored once.

    Inputs: rows with prompt, chosen and rejected, or with prompt, completions and ranks (1 is best; equals are not
    compared); with margin = true also the column `margin`.
    Relations: DPO fits the same likelihood with the policy's log-ratio as the score.
    Departs from the paper: the new head is drawn from N(0, 1 / (H + 1)), which it does not say (Huang et al., 2024,
    arXiv:2403.17031, do); scores are not shifted afterwards to a mean of 0: `center` does so while training. The
    learning rate falls to 0, not to a tenth.
    """

    margin: bool = False  # ask for each row's own `margin` (Llama 2, arXiv:2307.09288)
    center: float = 0.0  # coefficient that pulls scores to a mean of 0

    needs: ClassVar[tuple[str, ...]] = ("prompt", "chosen", "rejected")
    policy: ClassVar[Scalar] = Scalar()
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 9e-6, "batch_size": 64, "epochs": 1.0, "warmup": 0.0},
        "small": {"learning_rate": 1e-4, "batch_size": 16, "epochs": 1.0, "warmup": 0.1},
    }
    sources: ClassVar[dict[str, dict[str, str]]] = {
        "paper": {
            "Appendix C.2 (6B)": "learning_rate, batch_size, epochs",
            "not in the paper": "warmup",
        },
    }

    def __post_init__(self) -> None:
        """Refuse options outside the formula's range."""
        if self.center < 0:
            raise RecipeError("objectives/reward_model: center must be 0 or more.")

    def plant(self, row: Row, render: Renderer) -> Tree:
        """The completions of a prompt, and the rank of each."""
        completions, ranks = _ranked(row)
        if self.margin and not isinstance(row.get("margin"), int | float):
            raise RowError("missing 'margin', a number; objectives/reward_model needs it where margin = true")
        paths = [render.completion(row["prompt"], completion, row.get("tools")) for completion in completions]
        ids = [path.ids.tobytes() for path in paths]
        if len(set(ids)) < len(set(zip(ids, ranks, strict=True))):
            raise RowError("two completions are identical but for their rank")
        margin = float(row["margin"]) if self.margin else 0.0
        return Tree.of(paths, rank=Field(ranks, "completion"), margin=margin, weight=float(row.get("weight", 1.0)))

    def loss(self, models: Models, piece: Forest) -> Loss:
        """Average each example's comparisons; report how many are right, and the scores of either side."""
        scores, owner, rank = models.policy.scores(piece), piece.owner("completion"), piece["rank"]
        better = (owner[:, None] == owner) & (rank[:, None] < rank)  # [completions, completions]
        first, second = better.nonzero(as_tuple=True)  # [comparisons]
        example, chosen, rejected = owner[first], scores[first], scores[second]
        share = 1 / torch.bincount(example, minlength=piece.examples).to(scores.dtype)[example]

        def mean(values: Tensor) -> Tensor:
            return scores.new_zeros(piece.examples).index_add(0, example, values * share)

        margin = piece["margin"].to(scores.dtype)[example]
        values = bradley_terry_loss(chosen, rejected, margin=margin, center=self.center)
        metrics = {"accuracy": (chosen > rejected).to(scores.dtype), "margin": chosen - rejected}
        metrics |= {"chosen_reward": chosen, "rejected_reward": rejected}
        return Loss.of(mean(values) * piece["weight"], **{name: mean(metric) for name, metric in metrics.items()})


def _ranked(row: Row) -> tuple[Sequence[Any], list[float]]:
    """The completions of a row with their ranks, 1 the best."""
    completions, ranks = row.get("completions"), row.get("ranks")
    if row.get("prompt") is not None and completions is not None and ranks is not None:
        if len(completions) != len(ranks) or len(set(ranks)) < 2:
            raise RowError("completions and ranks differ in number, or all ranks are equal; nothing can be compared")
        return completions, [float(rank) for rank in ranks]
    require(row, RewardModel())
    return (row["chosen"], row["rejected"]), [1.0, 2.0]
