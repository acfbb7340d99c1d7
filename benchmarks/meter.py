"""What a side measures about itself and the machine: memory, matrix-product rate, versions."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn


def reset_peak() -> None:
    """Start a new high-water mark of this process's resident memory (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def memory() -> tuple[float, float]:
    """Resident memory now and its high-water mark, in MB."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    now, peak = (int(status[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, peak


def held(*models: nn.Module) -> float:
    """MB of the weights of these models, and of gradients and Adam's two moments of what they train."""
    weights = {id(p): p for model in models for p in model.parameters()}.values()
    size = sum(p.numel() * p.element_size() * (4 if p.requires_grad else 1) for p in weights)
    return size / 2**20


def gemm_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """GFLOP/s of a square matrix product, the best of several by CPU time, which other work disturbs least."""
    a, b = torch.randn(size, size, dtype=dtype), torch.randn(size, size, dtype=dtype)
    seconds = []
    for _ in range(7):
        begun = time.process_time()
        a @ b
        seconds.append((time.process_time() - begun) / torch.get_num_threads())
    return 2 * size**3 / min(seconds) / 1e9


def load(seconds: float = 2.0) -> dict[str, Any]:
    """The time, the load average, and the share of the processor that others use while this process sleeps."""
    before = _ticks()
    time.sleep(seconds)
    used, whole = (b - a for a, b in zip(before, _ticks(), strict=True))
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "load": round(os.getloadavg()[0], 2),
        "busy": round(used / max(1, whole), 2),
    }


def _ticks() -> tuple[int, int]:
    """Time the processor spent working, and all its time, since the machine started."""
    ticks = [int(n) for n in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def machine() -> dict[str, Any]:
    """What the numbers were measured on, and when."""
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    with torch.no_grad():
        rates = {"bfloat16": round(gemm_rate(torch.bfloat16)), "float32": round(gemm_rate(torch.float32))}
        torch.set_float32_matmul_precision("medium")
        rates["float32, precision medium"] = round(gemm_rate(torch.float32))
        torch.set_float32_matmul_precision("highest")
    return {
        "cpu": names[0] if names else "unknown",
        "cores": os.cpu_count(),
        **load(0),
        "gflops": rates,
        **{name: importlib.metadata.version(name) for name in ("torch", "transformers", "trl", "peft")},
    }
