"""Bases of objectives: how rows become trees, and what every objective counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from espalier.catalogue import address_of
from espalier.contracts import Frozen, Models, Row, Step
from espalier.errors import RowError
from espalier.trees.forest import Forest
from espalier.trees.tree import Field, Tree

if TYPE_CHECKING:
    from espalier.render import Renderer


class Objective:
    """What all objectives have: a weight per example, one pass, and the count of examples in `loss`.

    Class attributes, read by the loop: `needs` (row fields), `passes` over a prepared batch and `minibatches` in each,
    `dropout` (off unless the objective says otherwise), `loss_at_start` (the loss of an untouched policy, where the
    formula fixes it: the run stops when it differs), `presets` (options by name: paper, small).
    """

    needs: ClassVar[tuple[str, ...]] = ()
    passes: ClassVar[int] = 1
    minibatches: ClassVar[int] = 1
    loss_at_start: ClassVar[float | None] = None
    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    dropout: bool = False

    def prepare(self, trees: Sequence[Tree], models: Models, step: Step) -> Forest:
        """Plant a batch and count its examples by weight."""
        forest = Forest.plant(trees, device=models.policy.device)
        forest.count("loss", forest["weight"])
        return forest


class PairObjective(Objective):
    """Preferences: rows with prompt, chosen and rejected; one example is one pair.

    The forest has the index fields `chosen` and `rejected` [examples], and `reference_logps` [completions].
    """

    needs: ClassVar[tuple[str, ...]] = ("prompt", "chosen", "rejected")
    reference: ClassVar[Frozen] = Frozen()

    def plant(self, row: Row, render: Renderer) -> Tree:
        """One pair: the prompt once, and both completions."""
        require(row, self)
        sides = [render.completion(row["prompt"], row[side], row.get("tools")) for side in ("chosen", "rejected")]
        if len(sides[0].ids) == len(sides[1].ids) and bool((sides[0].ids == sides[1].ids).all()):
            raise RowError("chosen and rejected are identical")
        index = {side: Field([i], index="completion") for i, side in enumerate(("chosen", "rejected"))}
        return Tree.of(sides, **index, weight=float(row.get("weight", 1.0)))

    def prepare(self, trees: Sequence[Tree], models: Models, step: Step) -> Forest:
        """Plant, count, and add the reference's log-probability of each completion."""
        forest = super().prepare(trees, models, step)
        logps = forest.sum_tokens(step.reference_logps(forest, models))
        forest.put("reference_logps", logps, level="completion")
        return forest


def require(row: Row, objective: Objective) -> None:
    """Every needed field is there, or a sentence that says which is not."""
    missing = [name for name in objective.needs if row.get(name) is None]
    if missing:
        address = address_of(objective)
        raise RowError(f"missing {', '.join(map(repr, missing))}; {address} needs {', '.join(objective.needs)}")


def per_example(forest: Forest, values: torch.Tensor) -> torch.Tensor:
    """Sum a per-token value over each example. [tokens] -> [examples]"""
    return values.new_zeros(forest.examples).index_add(0, forest.owner("token"), values)
