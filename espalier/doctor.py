"""`espalier doctor`: what is installed and what is missing, what the machine has, and how fast it really is."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from rich.console import Console
from rich.text import Text

from espalier import __version__, run
from espalier.console import Fact, facts

DISTRIBUTION = "espalier-lm"
NEEDED = "packages"
MEASURED_SECONDS = 0.3  # per precision


def examine(out: Console) -> None:
    """Print everything; nothing here fails, for it is what one runs when something has failed."""
    facts(out, installed())
    if importlib.util.find_spec("torch") is None:
        return
    facts(out, machine())
    for warning in warnings():
        out.print(Text(f"\nwarning: {warning}", style="bold red"))
    out.print()
    rates = gemm_rates(MEASURED_SECONDS).items()
    facts(out, [("speed", f"{name}: {rate:,.0f} GFLOP/s in a matrix product") for name, rate in rates])


def installed() -> list[Fact]:
    """Versions, and for each optional group what is missing and the command that adds it."""
    found: list[Fact] = [("python", f"{platform.python_version()} ({sys.executable})"), ("espalier", __version__)]
    for group, needed in groups().items():
        lacking = [requirement for requirement in needed if not _satisfied(requirement)]
        if there := [f"{r.name} {metadata.version(r.name)}" for r in needed if r not in lacking]:
            found.append((group, ", ".join(there)))
        if lacking:
            names = " ".join(f"'{r.name}{r.specifier}'" for r in lacking)
            found.append((group, Text(f"missing: pip install {names}", "bold red" if group == NEEDED else "yellow")))
    return found


def groups() -> dict[str, list[Requirement]]:
    """What this package needs, and what each optional group adds; from pyproject.toml where it is not installed."""
    try:
        texts = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        file = Path(__file__).parents[1] / "pyproject.toml"
        project = tomllib.loads(file.read_text(encoding="utf-8"))["project"] if file.exists() else {}
        extras = project.get("optional-dependencies", {}).items()
        texts = [*project.get("dependencies", []), *(f"{t}; extra == '{group}'" for group, ts in extras for t in ts)]
    found: dict[str, list[Requirement]] = {}
    for requirement in map(Requirement, texts):
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)", str(requirement.marker or ""))
        found.setdefault(extra[1] if extra else NEEDED, []).append(requirement)
    return found


def _satisfied(requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def machine() -> list[Fact]:
    """Cores, memory, disk and GPU."""
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    free = shutil.disk_usage(Path.cwd()).free
    found: list[Fact] = [
        ("system", platform.platform(terse=True)),
        ("cores", f"{cores} usable of {os.cpu_count()}, {run.machine()['cpu']}"),
        ("memory", memory()),
        ("disk", f"{free / 2**30:,.0f} GB free in {Path.cwd()}"),
    ]
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        found.append(
            ("gpu", f"{card.name}, {card.total_memory / 2**30:.0f} GB, compute capability {card.major}.{card.minor}")
        )
    if torch.backends.mps.is_available():
        found.append(("gpu", "Apple GPU (mps)"))
    return found if found[-1][0] == "gpu" else [*found, ("gpu", "none that torch can use")]


def memory(meminfo: Path = Path("/proc/meminfo"), limit: Path = Path("/sys/fs/cgroup/memory.max")) -> str:
    """Memory in all and free, and a container's limit where that is lower."""
    if not meminfo.exists():
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:,.1f} GB"
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB", meminfo.read_text(encoding="utf-8"), re.MULTILINE))
    total, free = (int(sizes[name]) / 2**20 for name in ("MemTotal", "MemAvailable"))
    text = f"{total:,.1f} GB, {free:,.1f} GB free"
    allowed = limit.read_text(encoding="utf-8").strip() if limit.exists() else "max"
    if allowed.isdigit() and int(allowed) / 2**30 < total:
        text += f"; this container may use {int(allowed) / 2**30:,.1f} GB"
    return text


def warnings() -> list[str]:
    """What is wrong with this machine's torch: a GPU that is there and that it cannot see."""
    import torch

    sign = gpu_sign()
    if sign is None or torch.cuda.is_available():
        return []
    return [
        f"a GPU is there ({sign}) but torch {torch.__version__} cannot see it. {_reason(os.environ, torch.version)}"
    ]


def _reason(environment: Mapping[str, str], build: Any) -> str:
    hidden = [name for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES") if environment.get(name) in ("", "-1")]
    if hidden:
        return f"{hidden[0]} hides it: unset {hidden[0]}."
    if build.cuda is None and getattr(build, "hip", None) is None:
        return "This torch is built for the CPU alone: install one for your GPU, see https://pytorch.org/get-started/locally."
    return "Its driver is missing, older than torch needs, or not passed into this container: see what nvidia-smi says."


def gpu_sign(dev: Path = Path("/dev")) -> str | None:
    """Where a GPU shows itself, without asking torch."""
    for name in ("nvidia0", "kfd"):
        if (dev / name).exists():
            return str(dev / name)
    for words, pattern in (
        (["nvidia-smi", "-L"], r"GPU \d"),
        (["lspci"], r"(3d|vga|display).*(nvidia|radeon|instinct)"),
    ):
        if line := re.search(f".*{pattern}.*", _output(words), re.IGNORECASE):
            return line[0].strip()
    return None


def _output(words: list[str]) -> str:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def gemm_rates(seconds: float) -> dict[str, float]:
    """The best rate of a matrix product in GFLOP/s, for each precision a run may choose."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    before = torch.get_float32_matmul_precision()
    found = {}
    try:
        for name, dtype, precision in (
            ("float32", torch.float32, "highest"),
            ("float32, reduced (medium)", torch.float32, "medium"),
            ("bfloat16", torch.bfloat16, before),
        ):
            torch.set_float32_matmul_precision(precision)
            found[name] = _rate(torch.ones(1, dtype=dtype, device=device), 4096 if device == "cuda" else 512, seconds)
    finally:
        torch.set_float32_matmul_precision(before)
    return found


def _rate(like: Any, size: int, seconds: float) -> float:
    """GFLOP/s of the fastest of as many products as fit into the time."""
    import torch

    a, b = (torch.rand(size, size, device=like.device).to(like.dtype) for _ in range(2))
    fastest, end = float("inf"), time.perf_counter() + seconds
    while True:
        begun = time.perf_counter()
        (a @ b)[0, 0].item()  # .item() waits for the GPU
        fastest = min(fastest, time.perf_counter() - begun)
        if time.perf_counter() > end:
            return float(2 * size**3 / fastest / 1e9)
