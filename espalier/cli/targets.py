"""What `chat` and `evaluate` are told to open: a run, an adapter or a model, and what it is compared with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from espalier.errors import RecipeError, RunError
from espalier.models.scoring import LoadedScorer, is_scorer, load_scorer
from espalier.run import Loaded, load, locate

if TYPE_CHECKING:
    from espalier.models.roles import Role

BASE = "base"

Opened = Loaded | LoadedScorer


def open_one(target: str, *, dtype: str = "auto") -> Opened:
    """A model to measure: one that writes, or one that scores."""
    if not is_scorer(target):
        return load(target, dtype=dtype)
    from espalier.models.precision import Precision
    from espalier.opening import physical_cores, prepare_machine

    prepare_machine(Precision("float32"), physical_cores())
    scorer = load_scorer(target, dtype=dtype)
    return LoadedScorer(scorer, scorer.describe)


def open_measured(target: str, against: str | None, *, dtype: str = "auto") -> tuple[Opened, Opened | None]:
    """A model to measure, and the one it is compared with; both write, or both score.

    Args:
        target: a run, an adapter, a model folder or a hub id.
        against: another, or "base".
        dtype: float32, bfloat16 or auto.
    """
    scores = is_scorer(target)
    if scores and against == BASE:
        raise RunError(
            f"{target} gives scores, and what it was made from gives none. Compare it with another reward model: "
            "--against RUN."
        )
    if against not in (None, BASE) and is_scorer(str(against)) != scores:
        names = (target, against) if scores else (against, target)
        raise RecipeError("{} gives scores and {} writes text: they have no number in common.".format(*names))
    if not scores:
        return open_targets(target, against, dtype=dtype)
    return open_one(target, dtype=dtype), None if against is None else open_one(against, dtype=dtype)


def reference_of(loaded: Opened, other: Opened | None) -> Role | None:
    """What a model's preferences are measured against: what it is compared with, if that reads the same tokens."""
    if other is None:
        return loaded.base
    alike = isinstance(loaded, Loaded) and isinstance(other, Loaded) and loaded.renderer.key == other.renderer.key
    return other.policy if alike and isinstance(other, Loaded) else None


def open_targets(target: str, against: str | None, *, dtype: str = "auto") -> tuple[Loaded, Loaded | None]:
    """A model, and the one it is compared with.

    Args:
        target: a run, an adapter, a model folder or a hub id.
        against: another; or "base", what the target was made from, which answers with the target's own rendering.
        dtype: float32, bfloat16 or auto.
    """
    loaded = load(target, dtype=dtype)
    if against is None:
        return loaded, None
    if against != BASE:
        return loaded, load(against, dtype=dtype)
    if loaded.base is not None:
        return loaded, replace(loaded, policy=loaded.base, describe=loaded.base.describe, base=None)
    place = locate(target)
    if place.run is None:
        raise RunError(f"{target} is a model by itself: what it was made from is not known. Name it: --against MODEL.")
    recipe = place.run.recipe
    rendering = {"template": place.template, "thinking": place.thinking}
    return loaded, load(recipe.from_run or recipe.model, dtype=dtype, options=rendering)
