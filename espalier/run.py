"""A run: a folder with everything about one training run, and where to find the model it made.

    recipe.toml  run.json  audit.json  metrics.jsonl  samples.jsonl  evaluation.json  report.html
    checkpoints/step-000120/    adapter/ or model/

What a name on the command line stands for (a run, an adapter, a model, a hub id) `locate` finds out, and `load` opens.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espalier.errors import RunError

if TYPE_CHECKING:
    from espalier.models.roles import Role
    from espalier.recipe import Recipe
    from espalier.render import Renderer

PACKAGES = (
    "espalier-lm",
    "torch",
    "transformers",
    "tokenizers",
    "peft",
    "datasets",
    "safetensors",
    "numpy",
    "bitsandbytes",
)


@dataclass(frozen=True)
class Run:
    """A run folder."""

    folder: Path

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """The run in a folder.

        Raises:
            RunError: there is none.
        """
        run = cls(Path(folder))
        if not (run.folder / "run.json").exists():
            raise RunError(f"{folder}: no run here; a run folder has a run.json.")
        return run

    @property
    def state(self) -> str:
        """running, interrupted or finished."""
        return str(self.info()["state"])

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def result(self) -> Path:
        """The adapter or the model that the run made."""
        return next((p for p in (self.folder / "adapter", self.folder / "model") if p.exists()), self.folder / "model")

    @property
    def recipe(self) -> Recipe:
        """The recipe, with everything that was decided."""
        from espalier.recipe import load_recipe

        return load_recipe(self.folder / "recipe.toml")

    def info(self) -> dict[str, Any]:
        """What run.json holds."""
        found: dict[str, Any] = self.read("run.json", {})
        return found

    def read(self, name: str, default: Any = None) -> Any:
        """A JSON file of the run."""
        file = self.folder / name
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else default

    def write(self, name: str, content: Any) -> None:
        """Write a JSON file of the run, whole or not at all."""
        write_text(self.folder / name, json.dumps(content, ensure_ascii=False, indent=1, default=str))

    def metrics(self) -> list[dict[str, Any]]:
        """The events of metrics.jsonl; a line that was cut off by a crash is left out."""
        file = self.folder / "metrics.jsonl"
        found = []
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return found

    def forget_after(self, step: int) -> None:
        """Remove the events after a step, which a resumed run will write again."""
        kept = [event for event in self.metrics() if event["step"] <= step]
        write_text(self.folder / "metrics.jsonl", "".join(json.dumps(event) + "\n" for event in kept))


def write_text(file: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """Versions of Python and of what the run used."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What the run ran on."""
    import torch

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    found: dict[str, Any] = {
        "system": platform.platform(terse=True),
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**30, 1),
    }
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
    return found


@dataclass(frozen=True)
class Located:
    """What a name on the command line stands for."""

    model: str
    adapter: str | None = None
    template: str | None = None
    thinking: str = "off"
    run: Run | None = None


def locate(target: str | Path) -> Located:
    """A run folder, an adapter folder, a model folder or a hub id.

    Raises:
        RunError: a run that has no result yet.
        ModelError: nothing of the kind.
    """
    from espalier.models.load import place

    folder = Path(target).expanduser()
    if (folder / "run.json").exists():
        run = Run(folder)
        if not run.result.exists():
            raise RunError(
                f"{target}: this run has no result yet (it is {run.state}). Go on with it: {resume_command(run)}"
            )
        found = place(str(run.result))
        rendering = run.recipe.render_options
        return Located(found.model, found.adapter, rendering.template, rendering.thinking, run)
    found = place(str(target))
    return Located(found.model, found.adapter)


def resume_command(run: Run) -> str:
    """What to type to go on with a run."""
    return f"espalier train --resume --out {run.folder}"


@dataclass(frozen=True)
class Loaded:
    """A model ready to answer, with the renderer of its training."""

    policy: Role
    renderer: Renderer
    describe: str
    base: Role | None = None  # the same weights with the adapter off


def load(
    target: str | Path, *, device: str = "auto", dtype: str = "auto", options: Mapping[str, Any] | None = None
) -> Loaded:
    """A run, adapter, model folder or hub id as a model that answers.

    Args:
        target: where it is.
        device: cpu, cuda, mps or auto.
        dtype: float32, bfloat16 or auto.
        options: `template` and `thinking` for a model that has no run.
    """
    from espalier.opening import open_model

    return open_model(locate(target), device=device, dtype=dtype, options=dict(options or {}))
