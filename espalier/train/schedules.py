"""Learning-rate schedules: a pure function of the step."""

from __future__ import annotations

import math

from espalier.errors import RecipeError


def factor(step: int, steps: int, *, schedule: str, warmup: float) -> float:
    """What the learning rate is multiplied with at a step.

    Args:
        step: the step about to be taken, from 0.
        steps: all steps of the run.
        schedule: cosine (to 0), linear (to 0) or constant, after the warm-up.
        warmup: steps of linear rise; below 1, the share of all steps.

    Raises:
        RecipeError: the schedule does not exist.
    """
    rise = warmup if warmup >= 1 else math.ceil(warmup * steps)
    if step < rise:
        return (step + 1) / (rise + 1)
    done = (step - rise) / max(1, steps - rise)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if schedule == "linear":
        return 1 - done
    if schedule == "constant":
        return 1.0
    raise RecipeError(f"no schedule named {schedule!r}. Known: constant, cosine, linear.")
