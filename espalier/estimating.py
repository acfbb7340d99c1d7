"""Which ways of training fit into memory, and how long each takes: from the config and the rows, before any weight."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from espalier.catalogue import build, load
from espalier.errors import RecipeError
from espalier.estimating_memory import Cost, Step, cost
from espalier.models.load import load_config
from espalier.models.precision import Precision, decide
from espalier.opening import PIECE, choose_device, count_parameters
from espalier.planning import Plan, plan_run
from espalier.recipe import Recipe
from espalier.train.rehearsal import largest
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree

GB = 2**30
CONTEXT = 0.5 * GB  # what CUDA and its libraries take of a card before the first tensor
WORKING = 0.12 * GB  # what libraries take in main memory once they compute: threads, kernels, what malloc keeps
# A CPU's memory allocator gives back late what it held: times the activations that are alive, as measured.
HELD = {"float32": 1.15, "bfloat16": 1.75}
OPERATIONS = 1.25  # of the time that the matrix products would take at the rate of large square ones
MEASURED_SECONDS = 0.2
AMPLE = 0.5  # of free memory: what takes less at a rough guess is not looked at
UNITS = {"": GB, "G": GB, "GB": GB, "GIB": GB, "M": 2**20, "MB": 2**20, "MIB": 2**20, "T": 2**40, "TB": 2**40}


@dataclass(frozen=True)
class Way:
    """A way of training: what to type for it."""

    name: str
    options: str
    adapter: bool = False
    quantize: str | None = None
    checkpoint: int = 0
    optimizer: str | None = None  # that of the recipe


@dataclass(frozen=True)
class Estimate:
    """What a way is expected to take."""

    way: Way
    trained: int
    parameters: int
    memory: float  # bytes at the peak
    tokens_per_second: float | None  # None where the device is not here to be measured
    seconds: float | None  # of the whole run


@dataclass(frozen=True)
class Machine:
    """How fast it is: operations of a matrix product by dtype, and bytes written, a second."""

    rates: dict[str, float]
    bandwidth: float


def ways(adapter: str) -> list[Way]:
    """Every way that is looked at, those that change the most first."""
    again = "--activation-checkpointing"
    few = f"--adapter {adapter} --quantize nf4"
    return [
        Way("all weights", "--adapter full"),
        Way("all weights, activations again", f"--adapter full {again}", checkpoint=1),
        Way("all weights, LOMO", "--adapter full --optimizer lomo", optimizer="optimizers/lomo"),
        Way("all weights, LOMO, activations again", f"--adapter full --optimizer lomo {again}", checkpoint=1,
            optimizer="optimizers/lomo"),
        Way(adapter, f"--adapter {adapter}", adapter=True),
        Way(f"{adapter}, activations again", f"--adapter {adapter} {again}", adapter=True, checkpoint=1),
        Way(f"{adapter}, base in 4 bits", few, adapter=True, quantize="nf4"),
        Way(f"{adapter}, base in 4 bits, activations again", f"{few} {again}", adapter=True, quantize="nf4",
            checkpoint=1),
    ]  # fmt: skip


@dataclass(frozen=True)
class Outlook:
    """Everything an estimate of a recipe needs, looked up once."""

    plan: Plan
    config: Any
    device: str
    budget: int  # tokens per piece
    own: float  # bytes this process holds before there is a model
    machine: Machine | None
    tokens: float  # of the whole run, shared ones once

    @classmethod
    def of(cls, recipe: Recipe, *, device: str | None = None) -> Outlook:
        """Read the rows and the config; measure this machine where it is the one asked for.

        Args:
            recipe: what would be trained.
            device: cpu or cuda, here or not; the recipe's own where it is None.
        """
        plan = plan_run(recipe)
        here = device is None or device == "cpu" or torch.cuda.is_available()
        where = choose_device(plan.options.device if device is None else device) if here else str(device)
        config = load_config(plan.place.model)
        mean = sum(plan.store.tokens(int(n)) for n in plan.numbers[:2000]) / len(plan.numbers[:2000])
        tokens = mean / plan.audit.shared * plan.steps * (plan.options.batch_size or 1)
        budget = plan.options.tokens_per_piece or PIECE[where]
        own = resident() + WORKING if where == "cpu" else CONTEXT
        return cls(plan, config, where, budget, own, measure(where) if here else None, tokens)

    def estimate(self, way: Way) -> Estimate:
        """What a way takes."""
        recipe = self.plan.recipe
        optimizer = load(way.optimizer or recipe.optimizer["method"])
        fused = getattr(optimizer, "fused", False)
        adapter = build(recipe.adapter or {"method": "adapters/lora"}) if way.adapter else None
        parameters = count_parameters(self.plan.place.model)
        precision = self._precision(parameters)
        step = Step(precision, self.device, adapter.attach if adapter else None, way.quantize, way.checkpoint, fused)
        trees = self._batch() if fused else self._piece()
        found = cost(self.config, trees, step)
        fixed = found.weights + (0 if fused else 4 * found.trained)  # weights, and gradients in float32
        held = HELD[precision.compute] if self.device == "cpu" else 1.0
        state = getattr(optimizer, "state_bytes", 8.0) * found.trained
        memory = self.own + fixed + held * (found.peak - fixed) + state
        speed = None
        if self.machine is not None:
            piece = self._seconds(found, precision)
            twice = fused and bool(self.plan.options.max_norm)  # a backward pass, two thirds, to know the norm
            speed = Forest(trees).layout.ids.numel() / (piece * (5 / 3 if twice else 1))
        seconds = None if speed is None else self.tokens / speed
        return Estimate(way, round(found.trained), round(found.parameters), memory, speed, seconds)

    def _precision(self, parameters: int) -> Precision:
        options = self.plan.options
        if self.machine is None and self.device == "cuda":
            return Precision("float32" if options.dtype == "float32" else "bfloat16")
        return decide(options.dtype, self.device, parameters)

    def _seconds(self, found: Cost, precision: Precision) -> float:
        assert self.machine is not None
        name = "float32 medium" if precision.matmul == "medium" else precision.compute
        products = found.flops / self.machine.rates[name]
        return OPERATIONS * products + found.traffic / self.machine.bandwidth

    def _piece(self) -> list[Tree]:
        """The largest piece of the run."""
        store = self.plan.store
        forest = Forest([store[n] for n in largest(store, self.plan.numbers.tolist(), self.budget)])
        return list(max(forest.split(self.budget), key=lambda part: part.layout.ids.numel()).trees)

    def _batch(self) -> list[Tree]:
        """A whole batch, computed at once: the longest example, and others of every length."""
        store, numbers = self.plan.store, self.plan.numbers[:100_000]
        by_size = sorted(numbers.tolist(), key=store.tokens, reverse=True)
        count = min(self.plan.options.batch_size or 1, len(by_size))
        return [store[by_size[round(i * len(by_size) / count)]] for i in range(count)]


def estimates(outlook: Outlook) -> Iterator[Estimate]:
    """What each way takes."""
    adapter = outlook.plan.recipe.adapter or {"method": "adapters/lora"}
    for way in ways(adapter["method"].rpartition("/")[2]):
        yield outlook.estimate(way)


def layers_again(plan: Plan, device: str, parameters: int) -> tuple[int, str]:
    """Whether activations must be computed again for a run to fit where it is: every so many-th layer, and why.

    Where memory is ample, which takes no time to see, the answer is 0.
    """
    recipe, config = plan.recipe, load_config(plan.place.model)
    budget = plan.options.tokens_per_piece or PIECE[device]
    adapter = bool(recipe.adapter or plan.place.adapter)
    text = config.get_text_config()
    free = available(device)
    rough = parameters * (5 if adapter else 20) + budget * text.num_hidden_layers * text.hidden_size * 100
    if AMPLE * free > rough:
        return 0, ""
    own = CONTEXT if device == "cuda" else WORKING  # the libraries are in memory already
    outlook = Outlook(plan, config, device, budget, own, None, 0.0)
    way = Way("", "", adapter=adapter, quantize=plan.options.quantize)
    kept = outlook.estimate(way).memory
    if kept <= free:
        return 0, ""
    every = next((n for n in (2, 1) if outlook.estimate(replace(way, checkpoint=n)).memory <= free), 1)
    layers = "every layer" if every == 1 else "every second layer"
    return every, (
        f"activations of {layers} are computed again: with all of them kept, {kept / GB:.1f} GB are expected, and "
        f"{free / GB:.1f} GB are free"
    )


def parse_memory(text: str) -> float:
    """Bytes of "24GB", "24" or "800 MB".

    Raises:
        RecipeError: it is no amount of memory.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    if match is None or match[2].upper() not in UNITS or not float(match[1]):
        raise RecipeError(f"--memory {text}: not an amount of memory. Write it as 24GB or 800MB.")
    return float(match[1]) * UNITS[match[2].upper()]


def available(device: str) -> float:
    """Bytes that a run could have: free on the GPU, or free in main memory and allowed to this container."""
    if device == "cuda":
        return float(torch.cuda.mem_get_info()[0])
    meminfo, limit = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")
    if not meminfo.exists():
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    free = re.search(r"MemAvailable:\s+(\d+) kB", meminfo.read_text(encoding="utf-8"))
    found = int(free[1]) * 1024.0 if free else float("inf")
    allowed = limit.read_text(encoding="utf-8").strip() if limit.exists() else "max"
    return min(found, float(allowed)) if allowed.isdigit() else found


def resident() -> float:
    """Bytes this process holds now: Python, torch and the libraries that training needs."""
    import peft  # noqa: F401
    import transformers.models.auto.modeling_auto  # noqa: F401

    status = Path("/proc/self/status")
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text(encoding="utf-8")) if status.exists() else None
    return int(found[1]) * 1024.0 if found else 0.6 * GB


def measure(device: str) -> Machine:
    """A few matrix products and copies, a second in all."""
    size, before = (4096 if device == "cuda" else 1024), torch.get_float32_matmul_precision()
    rates = {}
    try:
        for name, dtype, setting in (
            ("float32", torch.float32, "highest"),
            ("float32 medium", torch.float32, "medium"),
            ("bfloat16", torch.bfloat16, "highest"),
        ):
            torch.set_float32_matmul_precision(setting)
            a = torch.rand(size, size, device=device).to(dtype)
            rates[name] = 2 * size**3 / _fastest(partial(torch.mm, a, a), device)
    finally:
        torch.set_float32_matmul_precision(before)
    source = torch.rand(1 << 24, device=device)
    return Machine(rates, source.nbytes / _fastest(partial(torch.mul, source, 2), device))


def _fastest(work: Callable[[], Tensor], device: str) -> float:
    """Seconds; on a CPU of its own time, which other work on the machine disturbs least."""
    best, end = float("inf"), time.perf_counter() + MEASURED_SECONDS
    clock = time.process_time if device == "cpu" else time.perf_counter
    share = torch.get_num_threads() if device == "cpu" else 1
    while True:
        begun = clock()
        work().view(-1)[0].item()  # waits for a GPU
        best = min(best, (clock() - begun) / share)
        if time.perf_counter() > end:
            return best
