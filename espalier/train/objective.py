"""Bases of objectives: how rows become trees, and what every objective counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from espalier.catalogue import address_of
from espalier.contracts import Frozen, Models, Row, Step
from espalier.errors import RecipeError, RowError
from espalier.trees.forest import Forest
from espalier.trees.tree import Field, Tree

if TYPE_CHECKING:
    from espalier.render import Renderer


class Objective:
    """What all objectives have: a weight per example, one pass, and the count of examples in `loss`.

    Class attributes, read by the loop: `needs` (row fields), `passes` over a prepared batch and `minibatches` in each,
    `dropout` (off unless the objective says otherwise), `loss_at_start` (the loss of an untouched policy, where the
    formula fixes it: the run stops when it differs), `presets` (options by name: paper, small), `sources` (of a preset:
    the options, comma-separated, that a place in the paper or in code says). Where options follow from the rows,
    `settle(trees, batch_size)` returns the objective with them and a sentence that says so.
    """

    needs: ClassVar[tuple[str, ...]] = ()
    passes: ClassVar[int] = 1
    minibatches: ClassVar[int] = 1
    loss_at_start: ClassVar[float | None] = None
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    sources: ClassVar[dict[str, dict[str, str]]] = {}
    dropout: bool = False

    def prepare(self, trees: Sequence[Tree], models: Models, step: Step) -> Forest:
        """Plant a batch and count its examples by weight."""
        forest = Forest.plant(trees, device=models.policy.device)
        forest.count("loss", forest["weight"])
        return forest


class Pairs(Objective):
    """Preferences: rows with prompt, chosen and rejected; one example is one pair, scored by the policy alone.

    The forest has the index fields `chosen` and `rejected` [examples].
    """

    needs: ClassVar[tuple[str, ...]] = ("prompt", "chosen", "rejected")

    def plant(self, row: Row, render: Renderer) -> Tree:
        """One pair: the prompt once, and both completions."""
        require(row, self)
        paths = [render.completion(row["prompt"], row[side], row.get("tools")) for side in ("chosen", "rejected")]
        if len(paths[0].ids) == len(paths[1].ids) and bool((paths[0].ids == paths[1].ids).all()):
            raise RowError("chosen and rejected are identical")
        index = {side: Field([i], index="completion") for i, side in enumerate(("chosen", "rejected"))}
        return Tree.of(paths, **index, weight=float(row.get("weight", 1.0)))


class PairObjective(Pairs):
    """Pairs against the policy as it was at step 0: the forest also has `reference_logps` [completions]."""

    reference: ClassVar[Frozen] = Frozen()

    def prepare(self, trees: Sequence[Tree], models: Models, step: Step) -> Forest:
        """Plant, count, and add the reference's log-probability of each completion."""
        forest = super().prepare(trees, models, step)
        logps = forest.sum_tokens(step.reference_logps(forest, models))
        forest.put("reference_logps", logps, level="completion")
        return forest


def log_ratios(models: Models, piece: Forest) -> Tensor:
    """log pi(y|x) - log pi_ref(y|x) of each completion, in nats. [completions]"""
    return models.policy.completion_logps(piece) - piece["reference_logps"]


def per_token(piece: Forest, values: Tensor) -> Tensor:
    """Sums over a completion divided by its counted tokens. [completions]"""
    return values / piece.lengths.clamp(min=1)


def sides(piece: Forest, values: Tensor) -> tuple[Tensor, Tensor]:
    """The chosen and the rejected completion's value of each pair. [completions] -> [pairs], [pairs]"""
    return values[piece["chosen"]], values[piece["rejected"]]


def rewards(chosen: Tensor, rejected: Tensor) -> dict[str, Tensor]:
    """What pairs report, from the rewards that the objective gives both sides. [pairs]"""
    return {
        "accuracy": (chosen > rejected).float(),
        "margin": chosen - rejected,
        "chosen_reward": chosen,
        "rejected_reward": rejected,
    }


def require_positive(objective: Objective, *names: str) -> None:
    """Refuse options that the formula needs above 0."""
    for name in names:
        value = getattr(objective, name)
        if not 0 < value < math.inf:
            raise RecipeError(f"{address_of(objective)}: {name} must be above 0, not {value!r}.")


def require_not_negative(objective: Objective, *names: str) -> None:
    """Refuse options that the formula needs at 0 or above."""
    for name in names:
        value = getattr(objective, name)
        if not 0 <= value < math.inf:
            raise RecipeError(f"{address_of(objective)}: {name} must be 0 or more, not {value!r}.")


def require_share(objective: Objective, name: str, most: float = 1.0) -> None:
    """Refuse an option that is no share from 0 to 1, or up to, not including, a smaller bound."""
    value = getattr(objective, name)
    if not (0 <= value < most or value == most == 1):
        bound = "1" if most == 1 else f"(not including) {most:g}"
        raise RecipeError(f"{address_of(objective)}: {name} must be from 0 to {bound}, not {value!r}.")


def require(row: Row, objective: Objective) -> None:
    """Every needed field is there, or a sentence that says which is not."""
    missing = [name for name in objective.needs if row.get(name) is None]
    if missing:
        address = address_of(objective)
        raise RowError(f"missing {', '.join(map(repr, missing))}; {address} needs {', '.join(objective.needs)}")


def per_example(forest: Forest, values: torch.Tensor) -> torch.Tensor:
    """Sum a per-token value over each example. [tokens] -> [examples]"""
    return values.new_zeros(forest.examples).index_add(0, forest.owner("token"), values)
