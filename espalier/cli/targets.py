"""What `chat` and `evaluate` are told to open: a run, an adapter or a model, and what it is compared with."""

from __future__ import annotations

from dataclasses import replace

from espalier.errors import RunError
from espalier.run import Loaded, load, locate

BASE = "base"


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
