"""Which numbers to compute in: measured once on this machine, recorded in the run, read back on resume."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import torch

from espalier.errors import RecipeError

SMALL = 3_000_000  # parameters; below this a CPU spends its time between the matrix products, not in them


@dataclass(frozen=True)
class Precision:
    """Weights that are trained are float32 always; frozen weights and matrix products may be bfloat16."""

    compute: str  # float32 or bfloat16: the dtype of matrix products
    matmul: str = "highest"  # torch's float32 matrix product setting
    rates: dict[str, float] = field(default_factory=dict)  # GFLOP/s measured, by name
    reason: str = ""

    @property
    def autocast(self) -> torch.dtype | None:
        """What the engine casts matrix products to."""
        return torch.bfloat16 if self.compute == "bfloat16" else None

    def frozen_weights(self, *, trains_all: bool) -> torch.dtype:
        """The dtype to load weights in."""
        return torch.bfloat16 if self.compute == "bfloat16" and not trains_all else torch.float32


def decide(dtype: str, device: str, parameters: int) -> Precision:
    """The precision of a run.

    Args:
        dtype: float32, bfloat16 or auto.
        device: cpu, cuda or mps.
        parameters: how many the model has.

    Raises:
        RecipeError: no such dtype.
    """
    if dtype not in ("auto", "float32", "bfloat16"):
        raise RecipeError(f"no dtype named {dtype!r}. Known: auto, float32, bfloat16.")
    if device != "cpu":
        fast = device == "cuda" and torch.cuda.is_bf16_supported()
        chosen = dtype if dtype != "auto" else "bfloat16" if fast else "float32"
        return Precision(chosen, "high" if device == "cuda" else "highest", reason=f"{device}, dtype = {dtype}")
    if dtype != "auto":  # nothing is measured, so that the same recipe gives the same numbers
        return Precision(dtype, reason=f"dtype = {dtype}")
    if parameters < SMALL:
        return Precision("float32", reason=f"{parameters:,} parameters: too few for bfloat16 to pay")
    rates = gemm_rates()
    matmul = "medium" if rates["float32 medium"] > 1.2 * rates["float32"] and medium_is_exact() else "highest"
    best = rates["float32 medium" if matmul == "medium" else "float32"]
    chosen = "bfloat16" if rates["bfloat16"] > 1.3 * best else "float32"
    shown = ", ".join(f"{name} {rate:.0f}" for name, rate in rates.items())
    return Precision(chosen, matmul, rates, f"GFLOP/s measured: {shown}")


def gemm_rates(size: int = 1024, repeats: int = 5) -> dict[str, float]:
    """GFLOP/s of square matrix products on the CPU: float32, float32 with the `medium` setting, bfloat16."""
    before = torch.get_float32_matmul_precision()
    rates = {}
    try:
        for name, kind, setting in (
            ("float32", torch.float32, "highest"),
            ("float32 medium", torch.float32, "medium"),
            ("bfloat16", torch.bfloat16, "highest"),
        ):
            torch.set_float32_matmul_precision(setting)
            a = torch.ones(size, size, dtype=kind)
            a @ a
            times = []
            for _ in range(repeats):
                begun = time.perf_counter()
                a @ a
                times.append(time.perf_counter() - begun)
            rates[name] = 2 * size**3 / min(times) / 1e9
    finally:
        torch.set_float32_matmul_precision(before)
    return rates


def medium_is_exact() -> bool:
    """Whether `medium` is still float32 here (it may mean bfloat16 on other processors)."""
    before = torch.get_float32_matmul_precision()
    draw = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=draw) for _ in range(2))
    try:
        torch.set_float32_matmul_precision("medium")
        error = (a @ b - (a.double() @ b.double()).float()).abs().max() / (a @ b).abs().max()
    finally:
        torch.set_float32_matmul_precision(before)
    return bool(error < 2e-6)
