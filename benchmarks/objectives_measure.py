"""One cell of the measurement of objectives: train in this process, sample, and compare with the start."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import meter, objectives_rows, objectives_scores
from benchmarks.objectives_cells import YARDSTICKS, Cell, Size
from benchmarks.objectives_scores import marks
from espalier.contracts import Sample
from espalier.lm.generate import evaluating
from espalier.lm.local import Local
from espalier.models.roles import Role
from espalier.objectives.dpo import DPO
from espalier.recipe import load_recipe
from espalier.render import Renderer
from espalier.run import Run, load
from espalier.train.loop import Event
from espalier.trees.forest import Forest
from espalier.trees.tree import Branch, Tree
from espalier.tuning import train
from espalier.world import reviews

MODEL = "sprout"
DTYPE = "float32"
MAX_TOKENS = 96  # of a sample

Figures = dict[str, Any]


def measure(cell: Cell, size: Size, minilm: str = "") -> Figures:
    """What a cell comes to, in a process that has trained nothing before."""
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    torch.set_num_threads(1)
    if cell.objective in YARDSTICKS:
        return objectives_scores.yardstick(cell, size, minilm)
    with tempfile.TemporaryDirectory() as made:
        os.environ["ESPALIER_CACHE"] = str(Path(made) / "cache")  # every cell pays for its own reference
        if cell.objective == "start":
            return behavior(MODEL, size)
        if cell.figures == "scores":
            learned, held = objectives_scores.rows(cell, size)
            run, costs = trained(cell, learned, Path(made))
            return {**costs, **objectives_scores.accuracy(run, held, cell.rows.temperature)}
        run, costs = trained(cell, objectives_rows.made(cell.rows), Path(made))
        return costs if cell.figures == "costs" else {**costs, **behavior(str(run.folder), size)}


def trained(cell: Cell, rows: Sequence[Mapping[str, Any]], here: Path) -> tuple[Run, Figures]:
    """The run, and what it cost: processor seconds, those of the reference among them, and MB of memory at the peak."""
    data = here / "rows.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    spent = {"last": time.process_time(), "reference": 0.0, "tokens": 0.0, "steps": 0}

    def listen(event: Event) -> None:
        now = time.process_time()
        if event.kind == "reference":
            spent["reference"] += now - spent["last"]
        if event.kind == "step":
            spent["steps"] += 1
            spent["tokens"] += event.values["tokens"]
        spent["last"] = now

    fixed = {
        "dtype": DTYPE,
        "device": "cpu",
        "threads": 1,
        "eval_share": 0.0,
        "save_every": 1_000_000,
        "general": "off",
    }
    start = {"model": MODEL, **({"adapter": "lora"} if cell.adapter else {})}
    recipe = load_recipe(
        objective=cell.objective,
        data=str(data),
        out=str(here / "run"),
        preset="small",
        **start,
        **fixed,
        **cell.options,
    )
    meter.reset_peak()
    (before, _), begun, wall = meter.memory(), time.process_time(), time.perf_counter()
    run = train(recipe, listen=listen)
    return run, {
        "cpu": round(time.process_time() - begun, 2),
        "seconds": round(time.perf_counter() - wall, 2),
        "reference": round(spent["reference"], 2),
        "peak": round(meter.memory()[1] - before, 1),
        "steps": spent["steps"],
        "tokens": round(spent["tokens"]),
    }


def behavior(target: str, size: Size) -> Figures:
    """What samples earn, how far they are from the start, and on which side of the start pairs lie."""
    policy, start = (load(name, device="cpu", dtype=DTYPE) for name in (target, MODEL))
    prompts = objectives_rows.prompts(size.prompts)
    sampled = Local(policy.policy, policy.renderer).sample(prompts, temperature=1.0, max_tokens=MAX_TOKENS, seed=0)
    samples = [one for (one,) in sampled]
    trees = [written(policy.renderer, prompt, sample) for prompt, sample in zip(prompts, samples, strict=True)]
    held = [DPO().plant(row, policy.renderer) for row in objectives_rows.made(asked(size))]
    both = log_ratios(held, policy.policy, start.policy).reshape(-1, 2)
    return {
        "rewards": [round(reviews.mood_of(sample.text), 3) for sample in samples],
        "kl": [round(float(value), 2) for value in log_ratios(trees, policy.policy, start.policy)],
        "ended": marks(sample.ended for sample in samples),
        "whole": marks(objectives_rows.whole(sample.text) for sample in samples),
        "length": [len(sample.ids) for sample in samples],
        "pairs": marks(chosen > rejected for chosen, rejected in both),
        "sample": samples[0].text,
    }


def asked(size: Size) -> objectives_rows.Rows:
    """The pairs whose order is asked for."""
    return objectives_rows.Rows(n=size.held_out, split="test")


def written(renderer: Renderer, prompt: str, sample: Sample) -> Tree:
    """A sample after its prompt, its end token too where it has one."""
    before = renderer.prompt(prompt)
    ids = np.concatenate([before, np.array(sample.ids, before.dtype)])
    return Tree.of([Branch(ids, np.arange(len(ids)) >= len(before))])


def log_ratios(trees: Sequence[Tree], policy: Role, start: Role) -> np.ndarray[Any, Any]:
    """log pi(y|x) - log pi_start(y|x) of every completion, in nats. [completions]"""
    found = []
    for role in (policy, start):
        with evaluating(role.inner.model):
            found.append(role.completion_logps(Forest.plant(trees)).double().numpy())
    return np.asarray(found[0] - found[1])
