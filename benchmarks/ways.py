"""Every way of tuning on one task: `python -m benchmarks.ways` writes benchmarks/results/ways.json, docs show it.

Sprout, which was taught sums of up to four steps, learns sums of five and six; what it loses is weighed on rows of all
else that it was taught. Each way is trained at several learning rates; a cell is one training in a process of its own.
What was measured with the same weights and options is not measured again, so that it can be interrupted.

python -m benchmarks.ways --workers 2         what is learned and what is forgotten, which no other work disturbs
python -m benchmarks.ways --costs             seconds and memory of a few steps of each way, on an idle machine
python -m benchmarks.ways --only lora --out /tmp/lora.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks import meter, sprout
from benchmarks.race import ROOT
from espalier.catalogue import load as method_at
from espalier.contracts import Row
from espalier.evaluation.cases import case_of
from espalier.evaluation.forgetting import GIVEN, Forgetting, General
from espalier.evaluation.likelihood import by_engine
from espalier.lm.local import Local
from espalier.maths.intervals import wilson
from espalier.models.roles import Role
from espalier.opening import count_parameters
from espalier.recipe import load_recipe
from espalier.render import Renderer
from espalier.rewards.exact_answer import final_answer, right
from espalier.run import load, locate
from espalier.train.loop import Event
from espalier.tuning import train
from espalier.world import sums
from espalier.world.facts import World

RESULTS = ROOT / "benchmarks/results/ways.json"
MODEL = "sprout"
LORA_RATE = 2e-3  # at which LoRA of rank 16 learns the task; a way's own factor is on top of it
SPREAD = (1.0, 4.0, 0.25)  # of the learning rate, about the way's own; the first is measured of every way first
STEPS, BATCH = 32, 8
ROWS, HELD, GENERAL = 256, 64, 40
HARD = sums.Difficulty(steps=(5, 6))
SIZES = {"batch_size": BATCH, "rows": ROWS, "held": HELD, "general": GENERAL, "hard": list(HARD.steps)}
MAX_TOKENS = 96  # of an answer
COSTED = 12  # steps whose time and memory are taken
PRELOADED = ["espalier.tuning", "peft", "transformers.models.llama.modeling_llama"]

Record = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """A way of tuning: overrides of a recipe, and its learning rate beside LoRA's."""

    overrides: tuple[str, ...]
    factor: float | None = None  # None: the adapter's own

    @property
    def rate(self) -> float:
        """The learning rate in the middle of the sweep."""
        adapter = dict(one.split("=", 1) for one in self.overrides).get("adapter")
        own = getattr(method_at(f"adapters/{adapter}"), "rate", 1.0) if adapter else 1.0
        return LORA_RATE * (own if self.factor is None else self.factor)


WAYS = {
    "full": Way((), 0.1),
    "full, LOMO": Way(("optimizer=lomo",), 15.0),
    **{f"LoRA, r = {rank}": Way(("adapter=lora", f"rank={rank}", f"alpha={2 * rank}")) for rank in (4, 16, 64)},
    "rsLoRA": Way(("adapter=rslora",)),
    "DoRA": Way(("adapter=dora",)),
    "LoRA+": Way(("adapter=lora_plus",)),
    "DyLoRA": Way(("adapter=dylora",)),
    "AdaLoRA": Way(("adapter=adalora",)),
    "VeRA": Way(("adapter=vera",)),
    "QLoRA (nf4)": Way(("adapter=lora", "quantize=nf4")),
    "prefix": Way(("adapter=prefix",)),
    "prompt": Way(("adapter=prompt",)),
    "P-tuning": Way(("adapter=p_tuning",)),
    "IA3": Way(("adapter=ia3",)),
    "bottleneck": Way(("adapter=bottleneck",)),
    "LLaMA Pro": Way(("adapter=llama_pro",)),
    "intrinsic, d = 2,000": Way(("adapter=intrinsic", "dimension=2000")),
}


@dataclass(frozen=True)
class Cell:
    """One training."""

    name: str
    overrides: tuple[str, ...]
    rate: float
    steps: int = STEPS
    fixed: Mapping[str, Any] = field(default_factory=lambda: {**SIZES})

    @property
    def key(self) -> str:
        """What tells it from other cells."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def planned(only: str | None) -> list[Cell]:
    """All cells, every way once before any a second time."""
    chosen = [name for name in WAYS if only is None or only.lower() in name.lower()]
    if not chosen:
        sys.exit(f"--only {only}: no such way. Known: {', '.join(WAYS)}.")
    rates = [(name, float(f"{WAYS[name].rate * spread:.3g}")) for spread in SPREAD for name in chosen]
    return [Cell(name, WAYS[name].overrides, rate) for name, rate in rates]


def task(split: Any, count: int) -> list[Row]:
    """Sums of five and six steps about the people of one split."""
    world = World.make(200, split=split, seed=0)
    return list(sums.rows(world, count, random.Random(f"ways {split}"), HARD))


def general() -> General:
    """What sprout was taught, but for sums."""
    found = General.of("auto", str(locate(MODEL).model))
    assert found is not None
    return General(GIVEN, tuple(row for row in found.rows if row.get("kind") != "sum")[:GENERAL])


def measure(cell: Cell) -> Record:
    """What a cell comes to, in a process that has trained nothing before."""
    base = load(MODEL, device="cpu", dtype="float32")
    torch.set_num_threads(1)
    weighed = Forgetting(general(), base.renderer, 0, tokens=1 << 30)
    weighed.before(base.policy)
    if cell.name == "start":
        return learned(base.policy, base.renderer)
    with tempfile.TemporaryDirectory() as made:
        run, figures = trained(cell, Path(made))
        tuned = load(run, device="cpu", dtype="float32")
        torch.set_num_threads(1)
        return {**figures, **learned(tuned.policy, tuned.renderer), "general": weighed.after(tuned.policy)}


def trained(cell: Cell, here: Path) -> tuple[Path, Record]:
    """The run's folder, what it trained and what it took."""
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", ESPALIER_CACHE=str(here / "cache"))
    data, seen = here / "rows.jsonl", {"trained": 0, "first": 0.0}
    data.write_text("".join(json.dumps(row) + "\n" for row in task("train", ROWS)), encoding="utf-8")

    def listen(event: Event) -> None:
        if event.kind == "estimate":
            seen["trained"] = event.values["trained"]
        if event.kind == "step" and not seen["first"]:
            seen["first"] = time.perf_counter()

    options = {"learning_rate": cell.rate, "batch_size": BATCH, "max_steps": cell.steps, "epochs": 4.0, "warmup": 0.1}
    fixed = {"eval_share": 0.0, "save_every": 1_000_000, "general": "off", "device": "cpu", "dtype": "float32"}
    recipe = load_recipe(
        None, cell.overrides, model=MODEL, data=str(data), out=str(here / "run"), objective="sft", threads=1,
        **fixed, **options,
    )  # fmt: skip
    meter.reset_peak()
    (before, _), begun, cpu = meter.memory(), time.perf_counter(), time.process_time()
    run = train(recipe, listen=listen)
    ended = time.perf_counter()
    return run.folder, {
        "trained": seen["trained"] or count_parameters(locate(MODEL).model),
        "bytes": sum(file.stat().st_size for file in run.result.rglob("*.safetensors")),
        "cpu": round(time.process_time() - cpu, 1),
        "seconds": round(ended - begun, 1),
        "step_seconds": round((ended - seen["first"]) / max(1, cell.steps - 1), 3),
        "peak": round(meter.memory()[1] - before, 1),
    }


def learned(policy: Role, renderer: Renderer) -> Record:
    """Of the held-back sums: right answers, their interval, and nats per token of the answers worked out."""
    rows = task("test", HELD)
    cases = [case_of(row) for row in rows]
    found = by_engine(policy, [case.paths(renderer) for case in cases], renderer, lambda done: None)
    nats, tokens = (sum(parts) for parts in zip(*((-one.logp, one.tokens or 0) for (one,) in found), strict=True))
    said = Local(policy, renderer).sample([row["prompt"] for row in rows], temperature=0.0, max_tokens=MAX_TOKENS)
    marks = [right(final_answer(one.text), (row["answer"],)) for (one,), row in zip(said, rows, strict=True)]
    interval = wilson(float(sum(marks)), len(marks))
    return {"right": sum(marks) / HELD, "low": interval.low, "high": interval.high, "nats": nats / tokens}


def best(cells: Mapping[str, Record], name: str) -> Record | None:
    """Of one way the training with the most right answers, of equals the likeliest."""
    own = [one for one in cells.values() if one["cell"]["name"] == name and "right" in one]
    return min(own, key=lambda one: (-one["right"], one["nats"]), default=None)


def main() -> None:
    """Measure and record."""
    parser = argparse.ArgumentParser(description="Measure every way of tuning on one task.")
    parser.add_argument("--only", metavar="NAME", help="ways whose name holds this")
    parser.add_argument("--workers", type=int, default=1, help="cells at a time, one thread each")
    parser.add_argument("--costs", action="store_true", help="time and memory of each way at its best learning rate")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    weights = sprout.weights(Path(locate(MODEL).model))
    before: Record = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    known: Record = before if before.get("model") == weights else {"cells": {}, "costs": {}}
    found: Record = {"model": weights, "machine": known.get("machine") or meter.machine(), **known}
    if asked.costs:
        names = [name for name in WAYS if best(found["cells"], name)]
        cells = [Cell(name, WAYS[name].overrides, best(found["cells"], name)["cell"]["rate"], COSTED) for name in names]  # type: ignore[index]
        found["costed_on"] = meter.machine()
    else:
        cells = [Cell("start", (), 0.0), *planned(asked.only)]
    run(cells, found, asked)


def run(cells: list[Cell], found: Record, asked: argparse.Namespace) -> None:
    """Measure what is not known, and keep each result as soon as it is there."""
    part = found["costs" if asked.costs else "cells"]
    missing = [cell for cell in cells if asked.costs or "right" not in part.get(cell.key, {})]
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(PRELOADED)
    with ProcessPoolExecutor(1 if asked.costs else asked.workers, mp_context=server, max_tasks_per_child=1) as pool:
        jobs = {pool.submit(costs if asked.costs else measure, cell): cell for cell in missing}
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                cell, failed = jobs[job], job.exception()
                figures = {"failed": f"{type(failed).__name__}: {failed}"} if failed else job.result()
                part[cell.name if asked.costs else cell.key] = {"cell": asdict(cell), **figures}
                sprout.write(asked.out, json.dumps(found, indent=1) + "\n")
                shown = {k: v for k, v in figures.items() if k in ("right", "nats", "seconds", "peak", "failed")}
                print(f"{done}/{len(jobs)} {cell.name} {cell.rate:g} {shown}", flush=True)
        except KeyboardInterrupt:
            print("Interrupted; the same command goes on.", flush=True)
            pool.shutdown(wait=False, cancel_futures=True)


def costs(cell: Cell) -> Record:
    """Seconds of a step, and MB of memory above the model's own weights in float32."""
    torch.set_num_threads(1)
    weights = 4 * count_parameters(locate(MODEL).model) / 2**20
    with tempfile.TemporaryDirectory() as made:
        figures = trained(cell, Path(made))[1]
    return {**figures, "peak": round(figures["peak"] - weights, 1)}


if __name__ == "__main__":
    main()
