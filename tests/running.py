"""Training in processes of their own, which a test may kill; what they import is imported once, by a forking server."""

import contextlib
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peft  # noqa: F401
import pytest
import torch
import transformers.models.llama.modeling_llama  # noqa: F401

from espalier import starting, tuning
from espalier.errors import EspalierError
from espalier.models.precision import Precision
from espalier.recipe import Recipe

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.running"])
PATIENCE = 120  # seconds; a run takes one


class Unmeasured:
    """In place of the measurements before and after a run, which have tests of their own."""

    rows = ()

    def __init__(self, *_: Any) -> None:
        pass

    def before(self, *_: Any) -> None:
        pass

    def after(self, *_: Any) -> None:
        pass


def decided(*_: Any) -> Precision:
    """In place of measuring the machine, which may decide otherwise the next time."""
    return Precision("float32")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Runs without measurements, with a cache of their own; returns the folder for them."""
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tuning, "Measurement", Unmeasured)
    monkeypatch.setattr(starting, "decide", decided)
    torch.set_num_threads(1)
    return tmp_path


def warm_up() -> None:
    """Have the server import everything, so that a run's time is its own."""
    process = SERVER.Process(target=int)
    process.start()
    assert wait(process) == 0


def start(recipe: Recipe, cache: Path, **how: Any) -> Any:
    """A process that trains; `how` is what `_train` takes."""
    process = SERVER.Process(target=_train, args=(recipe, str(cache)), kwargs=how)
    process.start()
    return process


def wait(process: Any) -> int:
    """A process's exit code, once it has ended; one that hangs is ended and fails the test."""
    process.join(PATIENCE)
    if process.exitcode is None:
        process.kill()
        process.join()
        pytest.fail("the run hangs")
    return int(process.exitcode)


def _train(recipe: Recipe, cache: str, *, resume: bool = False, die_at: int | None = None, stop_at: int = 0) -> None:
    os.environ["ESPALIER_CACHE"] = cache
    torch.set_num_threads(1)
    tuning.Measurement, starting.decide = Unmeasured, decided
    steps: list[int] = []
    with dying(die_at), contextlib.suppress(EspalierError if die_at is not None else ()):
        tuning.train(
            recipe,
            resume=resume,
            listen=lambda event: steps.append(event.step) if event.kind == "step" else None,
            stop=lambda: steps[-1] == stop_at,
        )


@contextlib.contextmanager
def dying(at: int | None) -> Iterator[None]:
    """Kill this process when it moves or syncs a file for the so many-th time: the worst moments there are."""
    count = 0

    def before(action: Any) -> Any:
        def counted(*args: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return action(*args, **options)

        return counted

    with pytest.MonkeyPatch.context() as patch:
        if at is not None:
            for owner, name in ((Path, "rename"), (Path, "replace"), (os, "fsync")):
                patch.setattr(owner, name, before(getattr(owner, name)))
        yield
