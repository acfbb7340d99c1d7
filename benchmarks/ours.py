"""Our side of a race: the real engine, objectives and `optimize` on the rows that TRL gets. Prints one JSON line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import meter
from benchmarks.shapes import BEGIN, END, ids
from benchmarks.theirs import model_of, rows_of
from espalier.adapters.lora import LoRA
from espalier.models.roles import Models, Role, assemble
from espalier.objectives.dpo import DPO
from espalier.objectives.kto import KTO
from espalier.objectives.orpo import ORPO
from espalier.objectives.reward_model import RewardModel
from espalier.objectives.sft import SFT
from espalier.optimizers.adamw import AdamW
from espalier.train.loop import Here
from espalier.train.reference import ReferenceCache, weights_key
from espalier.train.step import optimize
from espalier.train.unpaired import mismatched
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from espalier.trees.tree import Branch, Field, Tree

KINDS = {
    "matrix products of layers and head": {"mm", "addmm", "mv"},
    "matrix products of attention": {"bmm", "baddbmm"},
    "copies and casts": {"copy_", "cat", "fill_", "zero_"},
    "softmax": {"_softmax", "_softmax_backward_data", "amax", "exp_", "log_"},
    "adding and scaling": {"mul", "mul_", "add", "add_", "sub", "div", "div_", "neg", "pow", "mean", "sum", "rsqrt"},
    "activation function": {"silu", "silu_backward", "gelu", "gelu_backward"},
    "optimizer": {"_fused_adamw_", "linalg_vector_norm", "_foreach_mul_", "_foreach_norm"},
}


OBJECTIVES: dict[str, Any] = {
    "sft": SFT(),
    "dpo": DPO(),
    "kto": KTO(desirable_weight=1.0, undesirable_weight=1.0),
    "orpo": ORPO(),
    "reward_model": RewardModel(),
}


def plant(row: dict[str, Any], method: str) -> Tree:
    """The tree of a row: word ids, an end token after each answer, only answers count."""
    prompt = [BEGIN, *ids(row["prompt"])] if method == "orpo" else ids(row["prompt"])  # as TRL begins its rows there
    single = method in ("sft", "kto")
    branches = []
    for text in [row.get("completion") or row["chosen"]] if single else [row["chosen"], row["rejected"]]:
        answer = [*ids(text), END]
        mask = np.repeat([False, True], [len(prompt), len(answer)])
        branches.append(Branch(np.array(prompt + answer, np.int32), mask))
    fields: dict[str, Any] = {}
    if method in ("dpo", "orpo"):
        fields = {side: Field([i], index="completion") for i, side in enumerate(("chosen", "rejected"))}
    elif method == "kto":
        fields = {"label": Field([row["label"]], "completion")}
    elif method == "reward_model":
        fields = {"rank": Field([1.0, 2.0], "completion"), "margin": 0.0}
    return Tree.of(branches, weight=1.0, **fields)


def models_of(spec: dict[str, Any], objective: Any) -> Models:
    """The roles of a run, from the folder with the weights."""
    model = model_of(spec)
    if spec["lora"]:
        model = LoRA().attach(model)
    autocast = torch.bfloat16 if spec["dtype"] == "bfloat16" else None
    policy = Role(Engine(model, autocast=autocast), max_tokens=spec["tokens_per_piece"])
    if spec["method"] == "dpo" and spec["reference"] == "cached" and not spec["lora"]:
        return Models(policy, reference=policy)  # the untouched policy fills the cache and is not needed again
    return assemble(objective, policy, fresh_adapter=spec["lora"])


def run(spec: dict[str, Any]) -> dict[str, Any]:
    """One epoch over the rows in their order; what it took, step by step."""
    torch.set_num_threads(spec["threads"])
    torch.set_float32_matmul_precision(spec.get("precision", "medium"))
    libraries, _ = meter.memory()
    objective = OBJECTIVES[spec["method"]]
    models = models_of(spec, objective)
    trained = [p for p in models.policy.inner.parameters() if p.requires_grad]
    optimizer = AdamW().build([{"params": trained, "lr": 1e-5}])
    trees = [plant(row, spec["method"]) for row in rows_of(spec)]
    begun = time.perf_counter()
    cache = None
    if spec["method"] in ("dpo", "kto") and spec["reference"] == "cached":
        cache = ReferenceCache(Path(spec["scratch"]) / "reference.sqlite", weights_key(models.policy.inner))
        Here(0, torch.Generator(), cache).reference_logps(Forest.plant(trees), models)
    prepared = time.perf_counter() - begun
    meter.reset_peak()
    seconds, cpu, losses, flops = [], [], [], 0.0

    def step(number: int, batch: list[Tree]) -> dict[str, float]:
        forest = objective.prepare(batch, models, Here(number, torch.Generator(), cache))
        return optimize(objective, models, forest, optimizer, max_tokens=spec["tokens_per_piece"])

    for number, at in enumerate(range(0, len(trees), spec["batch"])):
        batch = trees[at : at + spec["batch"]]
        begun, busy = time.perf_counter(), time.process_time()
        losses.append(step(number, batch)["loss"])
        seconds.append(time.perf_counter() - begun)
        cpu.append(time.process_time() - busy)
        flops += products(models.policy.inner.model, batch, spec) if number else 0
    peak = meter.memory()[1]
    roles = {id(role.inner): role.inner for role in models.roles.values()}.values()
    return {
        "seconds": seconds,
        "cpu": cpu,
        "loss": sum(losses) / len(losses),
        "prepared": prepared,
        "libraries": libraries,
        "peak": peak,
        "held": meter.held(*roles),
        "flops": flops,
        "gflops": meter.gemm_rate(getattr(torch, spec["dtype"])),
        "profile": profile(lambda: step(number, batch)),
    }


def products(model: Any, trees: list[Tree], spec: dict[str, Any]) -> float:
    """Floating-point operations of the matrix products a step cannot do without, attention's left out.

    Per weight and token 2 forward, 2 for the input's gradient, 2 for the weight's own; frozen weights need the first 4.
    A live reference and the two sides of KTO's mismatched answers need 2 each.
    """
    embeddings = model.get_output_embeddings()
    head = 0 if embeddings is None else embeddings.weight.numel()
    body = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear)) - head

    def once(trees: list[Tree]) -> int:
        layout = Forest.plant(trees).layout
        return body * len(layout.ids) + head * len(layout.targets)

    live = spec["method"] in ("dpo", "kto") and spec["reference"] == "live"
    found = ((4 if spec["lora"] else 6) + (2 if live else 0)) * once(trees)
    return float(found + (4 * once(mismatched(trees, None)) if spec["method"] == "kto" else 0))


def profile(step: Callable[[], Any]) -> dict[str, float]:
    """Share of the CPU time of one step by kind of work."""
    with torch.profiler.profile() as watched:
        step()
    found = dict.fromkeys([*KINDS, "everything else"], 0.0)
    for event in watched.key_averages():
        name = event.key.removeprefix("aten::")
        kind = next((kind for kind, names in KINDS.items() if name in names), "everything else")
        found[kind] += event.self_cpu_time_total
    total = sum(found.values())
    return {kind: round(spent / total, 3) for kind, spent in found.items()}


if __name__ == "__main__":
    print(json.dumps(run(json.loads(sys.argv[1]))))
