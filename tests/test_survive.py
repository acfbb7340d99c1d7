"""A run survives: killed at any moment, stopped, with a full disk or a lost cache, it goes on to the very same weights."""

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from espalier import tuning
from espalier.errors import EspalierError, RunError
from espalier.recipe import Recipe
from espalier.run import Run
from espalier.train import checkpoints, disk, store
from tests.models_on_disk import recipe_of
from tests.running import quick, start, wait  # noqa: F401

OFTEN = {"save_every": 1, "eval_every": 2, "epochs": 2.0}
KINDS = ["sft", "dpo"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """By objective: the recipe of a run, the folder of it done in one go, and the seconds it took."""
    base = tmp_path_factory.mktemp("survive")
    made: dict[str, tuple[Recipe, Path, float]] = {}

    def get(kind: str) -> tuple[Recipe, Path, float]:
        if kind not in made:
            more: dict[str, Any] = {}
            if kind == "dpo":  # from an adapter, which is the reference and goes on being trained
                done(recipe_of(base, "sft", adapter="lora", learning_rate=1e-2, out="start"), base / "cache")
                more = {"from_run": base / "start"}
            recipe = recipe_of(base, kind, out=kind, **OFTEN, **more)
            begun = time.perf_counter()
            done(recipe, base / f"cache-{kind}")
            made[kind] = (recipe, base / kind, time.perf_counter() - begun)
        return made[kind]

    return get


def done(recipe: Recipe, cache: Path, **how: Any) -> None:
    assert wait(start(recipe, cache, **how)) == 0


def elsewhere(recipe: Recipe, folder: Path) -> Recipe:
    return Recipe(**{**vars(recipe), "out": str(folder / "run")})


def steps(folder: Path) -> list[dict[str, Any]]:
    """What each step reported, without its clock."""
    found = [event for event in Run(folder).metrics() if event["kind"] in ("step", "eval")]
    return [{key: value for key, value in event.items() if key != "seconds"} for event in found]


def assert_same(folder: Path, other: Path) -> None:
    """Two runs have the same result, last checkpoint and numbers, to the bit; and no leftovers."""
    names = [
        str(file.relative_to(other))
        for file in other.rglob("*")
        if file.suffix == ".safetensors" or file.name in ("state.json", "step.json", "audit.json")
    ]
    assert len(names) >= 6
    for name in names:
        assert (folder / name).read_bytes() == (other / name).read_bytes(), name
    assert steps(folder) == steps(other)
    assert Run(folder).state == "finished"
    assert not [path for path in folder.rglob(".*")]
    ours, theirs = ({path.relative_to(run) for path in run.rglob("*")} for run in (folder, other))
    assert ours == theirs


def go_on(recipe: Recipe, cache: Path) -> None:
    """Resume a killed run, as far as it had become one."""
    folder = Path(recipe.out)
    begun = (folder / "run.json").exists()
    if not (begun and Run(folder).state == "finished"):
        done(recipe, cache, resume=begun)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_killed_at_a_random_instant_ends_with_the_same_weights(kind, undisturbed, tmp_path):
    recipe, other, seconds = undisturbed(kind)
    survive_a_kill_in_time(elsewhere(recipe, tmp_path), other, random.Random(kind).uniform(0.3, 0.9) * seconds)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_twenty_runs_killed_at_random_instants_end_with_the_same_weights(number, undisturbed, tmp_path):
    recipe, other, seconds = undisturbed(KINDS[number % 2])
    survive_a_kill_in_time(elsewhere(recipe, tmp_path), other, random.Random(number).uniform(0, 1) * seconds)


def survive_a_kill_in_time(recipe: Recipe, other: Path, delay: float) -> None:
    cache = Path(recipe.out).parent / "cache"
    process = start(recipe, cache)
    time.sleep(delay)
    process.kill()
    assert wait(process) in (-signal.SIGKILL, 0)
    go_on(recipe, cache)
    assert_same(Path(recipe.out), other)


@pytest.mark.parametrize("instant", [15])
def test_a_run_killed_while_it_writes_ends_with_the_same_weights(instant, undisturbed, tmp_path):
    survive_a_kill_in_writing(undisturbed, tmp_path, instant)


@pytest.mark.slow
@pytest.mark.parametrize("instant", range(1, 72))
def test_a_run_killed_at_any_write_ends_with_the_same_weights(instant, undisturbed, tmp_path):
    survive_a_kill_in_writing(undisturbed, tmp_path, instant)


def survive_a_kill_in_writing(undisturbed: Any, tmp_path: Path, instant: int) -> None:
    """Each kind is killed at its own every other instant."""
    recipe, other, _ = undisturbed(KINDS[instant % 2])
    recipe = elsewhere(recipe, tmp_path)
    assert wait(start(recipe, tmp_path / "cache", die_at=instant)) == -signal.SIGKILL
    go_on(recipe, tmp_path / "cache")
    assert_same(Path(recipe.out), other)
