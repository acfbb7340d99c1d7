"""A run survives: killed at any moment, stopped, its disk full or its cache lost, it goes on to the same weights."""

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from espalier import tuning
from espalier.errors import RunError
from espalier.recipe import Recipe
from espalier.run import Run
from espalier.train import checkpoints, disk, store
from tests import running
from tests.models_on_disk import recipe_of
from tests.running import start, wait, warm_up

quick = running.quick
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
            warm_up()
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
@pytest.mark.parametrize("instant", range(1, 76))
def test_a_run_killed_at_any_write_ends_with_the_same_weights(instant, undisturbed, tmp_path):
    survive_a_kill_in_writing(undisturbed, tmp_path, instant)


def survive_a_kill_in_writing(undisturbed: Any, tmp_path: Path, instant: int) -> None:
    recipe, other, _ = undisturbed(KINDS[instant % 2])
    recipe = elsewhere(recipe, tmp_path)
    assert wait(start(recipe, tmp_path / "cache", die_at=instant)) == -signal.SIGKILL
    go_on(recipe, tmp_path / "cache")
    assert_same(Path(recipe.out), other)


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on_where_another_process_reads_strings_otherwise(undisturbed, tmp_path):
    recipe, other, _ = undisturbed("dpo")
    recipe = elsewhere(recipe, tmp_path)
    done(recipe, tmp_path / "cache", stop_at=3)
    assert Run(Path(recipe.out)).state == "interrupted"
    assert len(steps(Path(recipe.out))) == 3 + 1
    code = (
        "import sys; from tests.running import _train; from espalier.run import Run;"
        "run = Run.open(sys.argv[1]); _train(run.recipe, sys.argv[2], resume=True)"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}  # the order of sets must not matter
    words = [sys.executable, "-c", code, recipe.out, str(tmp_path / "cache")]
    subprocess.run(words, env=environment, cwd=Path(__file__).parents[1], check=True, capture_output=True, timeout=120)
    assert_same(Path(recipe.out), other)


@pytest.fixture
def halfway(undisturbed: Any, quick: Path) -> tuple[Recipe, Path]:
    """A run that was stopped after three steps, and the same done in one go."""
    recipe, other, _ = undisturbed("sft")
    recipe = elsewhere(recipe, quick)
    tuning.train(recipe, stop=after(3))
    return recipe, other


def after(steps: int) -> Any:
    """A stop callback that says yes after so many steps."""
    calls = iter(range(1, 1000))
    return lambda: next(calls) == steps


def test_resuming_survives_a_checkpoint_that_is_damaged(halfway):
    recipe, other = halfway
    last = checkpoints.found(Path(recipe.out) / "checkpoints")[-1] / "weights.safetensors"
    last.write_bytes(last.read_bytes()[:-1])
    tuning.train(recipe, resume=True)
    assert_same(Path(recipe.out), other)


def test_resuming_survives_a_line_of_metrics_that_was_cut(halfway):
    recipe, other = halfway
    with (Path(recipe.out) / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"kind": "step", "step": 4, "lo')
    tuning.train(recipe, resume=True)
    assert_same(Path(recipe.out), other)


def test_resuming_survives_the_loss_of_the_cache(halfway, quick):
    recipe, other = halfway
    shutil.rmtree(quick / "cache")
    tuning.train(recipe, resume=True)
    assert_same(Path(recipe.out), other)


@pytest.mark.parametrize("name", ["ids", "text", "audit.json", "digest"])
def test_a_run_survives_a_file_lost_from_the_cache(name, halfway, quick):
    recipe, other = halfway
    next((quick / "cache" / "rows").glob(f"*/{name}")).unlink()
    tuning.train(recipe, resume=True)
    assert_same(Path(recipe.out), other)


def test_the_time_of_all_parts_of_a_run_adds_up(halfway):
    recipe, _ = halfway
    run = Run(Path(recipe.out))
    run.write("run.json", run.info() | {"seconds": 100.0})
    tuning.train(recipe, resume=True)
    assert 100 <= run.info()["seconds"] < 130


def test_resuming_refuses_rows_that_have_changed(halfway):
    recipe, _ = halfway
    data = Path(str(recipe.data))
    before = data.read_text(encoding="utf-8")
    try:
        data.write_text(before.replace("yes", "aye", 1), encoding="utf-8")
        with pytest.raises(RunError, match="rows are not those this run began with"):
            tuning.train(recipe, resume=True)
    finally:
        data.write_text(before, encoding="utf-8")
    assert Run(Path(recipe.out)).state == "interrupted"


def no_room(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_sentence_and_the_last_checkpoint_stays(halfway, monkeypatch):
    recipe, other = halfway
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save_file", no_room)
        with pytest.raises(RunError, match=r"the disk is full: .*run cannot be written\. .* espalier train --resume"):
            tuning.train(recipe, resume=True)
    assert not list((Path(recipe.out) / "checkpoints").glob(".*"))
    tuning.train(recipe, resume=True)
    assert_same(Path(recipe.out), other)


def test_a_disk_that_is_full_from_the_start_leaves_nothing(undisturbed, quick, monkeypatch):
    recipe = elsewhere(undisturbed("sft")[0], quick)
    monkeypatch.setattr(tuning, "write_text", no_room)
    with pytest.raises(RunError, match="Free some space, then start again"):
        tuning.train(recipe)
    assert not Path(recipe.out).exists()
    assert not list((quick / "cache" / "rows").glob("*.partial"))


def test_a_disk_that_is_full_in_the_cache_names_the_cache(undisturbed, quick, monkeypatch):
    recipe = elsewhere(undisturbed("sft")[0], quick)
    monkeypatch.setattr(store.StoreWriter, "add", no_room)
    with pytest.raises(RunError, match="ESPALIER_CACHE"):
        tuning.train(recipe)
    assert not Path(recipe.out).exists()
    assert not list((quick / "cache" / "rows").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("kilobytes", range(40, 400, 40))
def test_a_disk_of_any_size_is_full_in_one_sentence(kilobytes, undisturbed, quick):
    recipe, other, _ = undisturbed("sft")
    disk = quick / "disk"
    disk.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        recipe = elsewhere(recipe, disk)
        with pytest.raises(RunError, match="the disk is full"):
            tuning.train(recipe)
        assert not list(disk.rglob("*.partial"))
        subprocess.run(["mount", "-o", "remount,size=8m", str(disk)], check=True)
        tuning.train(recipe, resume=(disk / "run" / "run.json").exists())
        assert_same(disk / "run", other)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)  # what is mapped is freed later


def test_errors_that_are_not_of_a_full_disk_go_their_way():
    with pytest.raises(OSError, match="Input/output"), disk.full_disk(Path("x"), "y"):
        raise OSError(errno.EIO, "Input/output error")
