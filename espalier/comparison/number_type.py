"""One number type for all runs of a comparison: `dtype = "auto"` is measured once, or each would decide for itself."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from espalier.comparison.apart import apart, write
from espalier.comparison.plan import Agenda
from espalier.errors import RunError
from espalier.recipe import Recipe, read_toml
from espalier.stages.process import STOPPED


def settled(agenda: Agenda, out: Path) -> Agenda:
    """The agenda with one dtype for all: measured once, and then read back."""
    wanted = {str(run.recipe.train.get("dtype", "auto")) for run in agenda.runs}
    if "auto" not in wanted:
        return agenda
    found: dict[str, str] = {}
    runs = []
    for run in agenda.runs:
        if run.recipe.train.get("dtype", "auto") == "auto":
            key = run.recipe.from_run or run.recipe.model
            found[key] = found.get(key) or _known(out, key) or _decided(run.recipe)
            run = replace(run, recipe=replace(run.recipe, train={**run.recipe.train, "dtype": found[key]}))
        runs.append(run)
    return replace(agenda, runs=tuple(runs))


def _known(out: Path, start: str) -> str | None:
    """What an earlier run of this comparison has found out about this model."""
    for file in sorted((out / "recipes").glob("*.toml")):
        recipe = read_toml(file)
        if start in (recipe.get("from"), recipe.get("model")):
            return str(recipe["train"]["dtype"])
    return None


def _decided(recipe: Recipe) -> str:
    """The faster dtype on this machine, found out in a process of its own, for it starts threads."""

    def decide() -> str:
        from espalier.models.precision import decide
        from espalier.opening import choose_device, count_parameters
        from espalier.run import locate

        device = choose_device(recipe.train_options.device)
        return decide("auto", device, count_parameters(locate(recipe.from_run or recipe.model).model)).compute

    with tempfile.TemporaryFile("w+") as said:
        ended, problem = apart(lambda: write(said, decide()))
        said.seek(0)
        text = said.read()
    if ended.code == STOPPED or ended.asked:
        raise KeyboardInterrupt
    if problem:
        raise RunError(problem)
    return text
