"""Measure the bundled model on the test world, and write docs/sprout.md: `python -m benchmarks.sprout`.

What was measured with the same weights on the same prompts is not measured again, so that it can be interrupted.

python -m benchmarks.sprout --runs runs/sprout/first runs/sprout/second runs/sprout/third   how it was trained, too
python -m benchmarks.sprout --model seedling --n 50 --out /tmp/seedling.json                another model, no page
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import meter, sprout_report
from benchmarks.race import ROOT
from benchmarks.sprout_cases import TASKS, Case, Setting, Task
from espalier.contracts import LM
from espalier.errors import EspalierError
from espalier.world.facts import World

RESULTS = ROOT / "benchmarks/results/sprout.json"
PAGE = ROOT / "docs/sprout.md"
SIZE = 1000  # entities of the test world
DTYPE = "float32"
ABSENT = "-"

Record = dict[str, Any]


def measure(
    setting: Setting, known: Record, *, tasks: Sequence[Task] = TASKS, save: Callable[[Record], None] = lambda _: None
) -> Record:
    """Every task in every wording it has.

    Args:
        setting: world, model, how many cases, seed.
        known: what was measured before; kept where the prompts are the same.
        tasks: what to measure.
        save: called with everything so far after each.

    Returns:
        By task and wording: `figures`, of each the outcomes case by case (1, 0, - where it does not apply).
    """
    found: Record = {}
    for task in tasks:
        for wording in task.wordings:
            key = f"{task.group}: {task.name}, {wording}"
            cases = task.cases(replace(setting, wording=wording, n=min(setting.n, task.most or setting.n)))
            asked = digest([f"{task.temperature} {task.samples} {task.max_tokens}", *(case.prompt for case in cases)])
            entry = known.get(key, {})
            if entry.get("asked") != asked:
                begun = time.perf_counter()
                figures = outcomes(cases, answered(setting, task, cases))
                spent = round(time.perf_counter() - begun, 1)
                entry = {"group": task.group, "task": task.name, "wording": wording, "asked": asked}
                entry |= {"seconds": spent, "figures": figures}
            found[key] = entry
            print(f"{key} ({entry['seconds']:.0f} s): {sprout_report.summary(entry)}", flush=True)
            save(found)
    return found


def answered(setting: Setting, task: Task, cases: Sequence[Case]) -> list[list[str]]:
    """The replies to each case."""
    prompts = [case.prompt for case in cases]
    sampled = setting.lm.sample(
        prompts, n=task.samples, temperature=task.temperature, max_tokens=task.max_tokens, seed=setting.seed
    )
    return [[sample.text for sample in samples] for samples in sampled]


def outcomes(cases: Sequence[Case], replies: Sequence[Sequence[str]]) -> dict[str, str]:
    """What was measured, by name: one character per case."""
    names = dict.fromkeys(name for case in cases for name in case.grades)
    return {
        name: "".join(
            str(int(case.grades[name](said))) if name in case.grades else ABSENT
            for case, said in zip(cases, replies, strict=True)
        )
        for name in names
    }


def digest(texts: Sequence[str]) -> str:
    """What tells prompts from others."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def weights(folder: Path) -> str:
    """What tells a model from another: its weights and its tokenizer."""
    found = hashlib.sha256()
    for file in (*sorted(folder.glob("*.safetensors")), folder / "tokenizer.json"):
        found.update(file.read_bytes())
    return found.hexdigest()[:16]


def training(folders: Sequence[Path]) -> list[Record]:
    """Of each run: its name, steps, tokens, hours, machine, and the loss of the rows held back."""
    found = []
    for folder in folders:
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        steps = {line["step"]: line for line in lines if line["kind"] == "step"}  # a resumed one counts once
        evals = [line["loss"] for line in lines if line["kind"] == "eval"]
        info = json.loads((folder / "run.json").read_text())
        entry = {name: sum(step[name] for step in steps.values()) for name in ("tokens", "examples", "seconds")}
        entry |= {"name": folder.name, "steps": len(steps), "loss": min(evals, default=None)}
        found.append(entry | {"machine": info["machine"], "started": info["started"]})
    return found


def write(file: Path, text: str) -> None:
    """The whole file or nothing."""
    partial = file.with_name(f".{file.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)


def opened(target: str) -> tuple[LM, Record]:
    """A model that answers, and what is to be known of it."""
    from espalier.lm.local import Local
    from espalier.opening import count_parameters
    from espalier.run import load, locate

    loaded, folder = load(target, device="cpu", dtype=DTYPE), Path(locate(target).model)
    size = sum(file.stat().st_size for file in folder.iterdir())
    about = {"name": target, "weights": weights(folder), "parameters": count_parameters(str(folder)), "bytes": size}
    return Local(loaded.policy, loaded.renderer), about


def main() -> None:
    """Measure, record, write the page."""
    parser = argparse.ArgumentParser(description="Measure the bundled model on the test world.")
    parser.add_argument("--model", default="sprout", help="another one is measured without writing the page")
    parser.add_argument("--n", type=int, default=200, help="cases per figure")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, nargs="*", default=[], metavar="RUN", help="runs that trained it")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.model != "sprout" and asked.out == RESULTS:
        sys.exit("those results are sprout's; give --out another file.")
    before: Record = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    try:
        lm, about = opened(asked.model)
    except EspalierError as error:
        sys.exit(str(error))
    same = before.get("model", {}).get("weights") == about["weights"] and before.get("dtype") == DTYPE
    head = {"model": about, "dtype": DTYPE, "n": asked.n, "seed": asked.seed, "entities": SIZE}
    head["training"] = training(asked.runs) or (before.get("training", []) if same else [])
    head["machine"] = before["machine"] if same else meter.machine()
    setting = Setting(World.make(SIZE, split="test", seed=asked.seed), lm, asked.n, asked.seed)

    def save(found: Record) -> None:
        kept = {**before["tasks"], **found} if same else found  # interrupted again, nothing is lost
        write(asked.out, json.dumps({**head, "tasks": kept}, indent=1) + "\n")

    found = measure(setting, before["tasks"] if same else {}, save=save)
    results = {**head, "tasks": found}
    write(asked.out, json.dumps(results, indent=1) + "\n")
    if asked.out == RESULTS:
        write(PAGE, sprout_report.page(results))


if __name__ == "__main__":
    main()
