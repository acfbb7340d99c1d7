"""Bases of objectives on rated answers: each liked or not by itself, no two of them compared."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from espalier.catalogue import address_of
from espalier.contracts import Models, Row, Step
from espalier.errors import RecipeError, RowError
from espalier.train import distributed
from espalier.train.objective import Objective, require
from espalier.trees.forest import Forest
from espalier.trees.tree import Branch, Field, Tree

if TYPE_CHECKING:
    from espalier.render import Renderer


class UnpairedObjective(Objective):
    """Rated answers: rows with prompt, completion and label (true: liked); a pair is a liked and a disliked answer.

    The forest has the field `label` [completions]. Every completion counts in `loss` with its row's weight. `share` and
    `label_share` [completions] turn a metric's mean over examples into one over completions, or over those of a label.
    """

    needs: ClassVar[tuple[str, ...]] = ("prompt", "completion", "label")

    def plant(self, row: Row, render: Renderer) -> Tree:
        """One rated answer, or the two of a pair under their prompt."""
        if row.get("chosen") is not None and row.get("rejected") is not None and row.get("prompt") is not None:
            rated = {"chosen": True, "rejected": False}
        else:
            require(row, self)
            rated = {"completion": row.get("label", True)}
        if not all(isinstance(label, bool) for label in rated.values()):
            raise RowError(f"'label' is not true or false; it is {row['label']!r}")
        paths = [render.completion(row["prompt"], row[side], row.get("tools")) for side in rated]
        if len(paths) == 2 and paths[0].ids.tolist() == paths[1].ids.tolist():
            raise RowError("chosen and rejected are identical")
        label = Field(list(rated.values()), "completion")
        return Tree.of(paths, label=label, weight=float(row.get("weight", 1.0)))

    def prepare(self, trees: Sequence[Tree], models: Models, step: Step) -> Forest:
        """Plant a batch and count its completions by weight."""
        forest = super().prepare(trees, models, step)
        forest.count(
            "loss", forest["weight"] * per_completion(forest, torch.ones_like(forest["label"], dtype=torch.double))
        )
        label = forest["label"].bool()
        examples = step.sum_over_ranks(forest.examples)
        liked, disliked = (step.sum_over_ranks(int(part.sum())) for part in (label, ~label))
        share = torch.full(label.shape, examples / max(1.0, liked + disliked))
        forest.put("share", share, level="completion")
        by_label = torch.where(label, examples / max(1.0, liked), examples / max(1.0, disliked))
        forest.put("label_share", by_label, level="completion")
        return forest


def both_labels(objective: Objective, trees: Iterable[Tree], batch_size: int) -> tuple[int, int]:
    """How many answers are liked, and how many are not.

    Raises:
        RecipeError: batches of one, in which no prompt meets another answer.
        RowError: all answers have the same label.
    """
    address = address_of(objective)
    if batch_size < 2:
        raise RecipeError(f"{address}: batch_size must be at least 2, not {batch_size}: a batch compares prompts.")
    counts = Counter(bool(label) for tree in trees for label in tree.fields["label"].values)
    if len(counts) < 2:
        raise RowError(
            f"all {counts.total():,} answers have label {str(True in counts).lower()}; {address} needs both."
        )
    return counts[True], counts[False]


def label_metrics(piece: Forest, *, reward: Tensor, right: Tensor) -> dict[str, Tensor]:
    """Mean reward of the liked and of the disliked answers, and the share of those put on the right side."""
    label, mine = piece["label"].bool(), reward * piece["label_share"]
    return {
        "accuracy": per_completion(piece, right * piece["share"]),
        "liked_reward": per_completion(piece, mine * label),
        "disliked_reward": per_completion(piece, mine * ~label),
    }


def per_completion(forest: Forest, values: Tensor) -> Tensor:
    """Sum a value of each completion over its example. [completions] -> [examples]"""
    return values.new_zeros(forest.examples).index_add(0, forest.owner("completion"), values)


def drift(trees: Sequence[Tree], models: Models, step: Step) -> float:
    """KTO's z0: the mean of log pi(y'|x) - log pi_ref(y'|x) over the mismatched answers of all ranks, at least 0."""
    others = Forest.plant(mismatched(trees, models.policy.longest), device=models.policy.device)
    with torch.no_grad():
        ratios = models.policy.completion_logps(others) - models.reference.completion_logps(others)
    total = step.sum_over_ranks(float(ratios.double().sum()))
    return max(0.0, total / max(1.0, step.sum_over_ranks(len(ratios))))


def mismatched(trees: Sequence[Tree], longest: int | None) -> list[Tree]:
    """Each completion's prompt with the completion of another prompt, drawn from the batch of all ranks.

    The other completions are the batch's own, each taken once (`pairing`). What follows of them beyond `longest` tokens
    is left off. A batch of one completion has no other: nothing comes back.

    Args:
        trees: the examples of this rank.
        longest: tokens of the longest row the model takes.
    """
    own = [path for tree in trees for path in tree.branches]
    ranks = distributed.gathered(own)
    paths = [path for part in ranks for path in part]
    if len(paths) < 2:
        return []
    other = pairing(paths)
    first = sum(len(part) for part in ranks[: distributed.rank()])
    return [Tree((_grafted(path, paths[other[first + i]], longest),)) for i, path in enumerate(own)]


def pairing(paths: Sequence[Branch]) -> list[int]:
    """For each completion the number of another, each once; of the same prompt only where half of them have it.

    It depends on what the batch holds and neither on its order nor on how it lies on ranks: completions are put in the
    order of a hash, those of one prompt together, and rotated by as many as the commonest prompt has.
    """
    prompts = [hashlib.sha256(_prompt(path)).digest() for path in paths]
    rest = [hashlib.sha256(path.ids.tobytes() + path.mask.tobytes()).digest() for path in paths]
    order = sorted(range(len(paths)), key=lambda i: (prompts[i], rest[i]))
    commonest = max(Counter(prompts).values(), default=1)
    shift = min(commonest, len(paths) // 2)
    other = [0] * len(paths)
    for at, i in enumerate(order):
        other[i] = order[at - shift]
    return other


def _prompt(path: Branch) -> bytes:
    return path.ids[: int(path.counted[0])].tobytes()


def _grafted(path: Branch, other: Branch, longest: int | None) -> Branch:
    """The prompt of one path under the completion of another."""
    end, begin = int(path.counted[0]), int(other.counted[0])
    ids = np.concatenate([path.ids[:end], other.ids[begin:]])[:longest]
    mask = np.concatenate([np.zeros(end, bool), other.mask[begin:]])[:longest]
    return Branch(ids, mask)
