"""Race the engine against TRL: same rows, same weights, each side in its own process, the sides taking turns.

python -m benchmarks.race                    every case; $ESPALIER_DATA adds those on real length distributions
python -m benchmarks.race --case dpo-full --rounds 3
python -m benchmarks.race --missing          only what is not recorded yet, in as many rounds and on as many threads
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import lengths, meter, shapes
from espalier.opening import PIECE

ROOT = Path(__file__).parent.parent
SIDES = {"ours": ("ours", ""), "TRL best": ("theirs", "best"), "TRL default": ("theirs", "default")}
# Fresh memory is slow to touch on a virtual machine, and glibc hands large buffers back: both sides keep theirs.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}


@dataclass(frozen=True)
class Case:
    """One comparison: what is trained, on which rows, and how."""

    name: str
    method: str = "dpo"
    model: str = "30m"
    lora: bool = False
    reference: str = "cached"
    dtype: str = "bfloat16"  # of the matrix products
    weights: str = "float32"
    rows: str = "synthetic"  # hh or alpaca: lengths of real rows; shared: prompts that are a given share of a row
    share: float = 0.0
    answers: int = 2  # of each prompt; beyond two, each but the first makes a pair with it
    count: int = 40  # pairs or answers
    batch: int = 8
    sides: tuple[str, ...] = ("ours", "TRL best", "TRL default")
    tokens_per_piece: int = PIECE["cpu"]


CASES = [
    Case("dpo-full"),
    Case("dpo-full-hh", rows="hh"),
    Case("dpo-full-live", reference="live"),
    Case("dpo-full-fp32", dtype="float32", sides=("ours", "TRL best")),
    Case("dpo-lora", lora=True),
    Case("dpo-lora-live", lora=True, reference="live"),
    Case("dpo-full-4", answers=4, count=72, batch=24),
    Case("dpo-full-4-live", answers=4, count=72, batch=24, reference="live"),
    Case("kto-full", method="kto", answers=1, reference="live"),
    Case("kto-full-both", method="kto", reference="live"),
    Case("kto-full-cached", method="kto", answers=1, sides=("ours", "TRL best")),
    Case("kto-lora", method="kto", answers=1, reference="live", lora=True),
    Case("orpo-full", method="orpo"),
    Case("reward-full", method="reward_model"),
    Case("sft-full", method="sft"),
    Case("sft-full-alpaca", method="sft", rows="alpaca", count=64),
    Case("dpo-lora-135m", model="135m", lora=True, weights="bfloat16", count=16, batch=4),
    Case("dpo-full-135m-hh", model="135m", rows="hh", count=16, batch=4, sides=("ours", "TRL best")),
    Case("dpo-lora-0.6b-hh", model="qwen3-0.6b", rows="hh", lora=True, weights="bfloat16", count=8, batch=2,
         sides=("ours", "TRL best")),
]  # fmt: skip


def race(case: Case, folder: Path, *, rounds: int = 1, threads: int = 2) -> dict[str, list[dict[str, Any]]]:
    """Every side of a case, in turns.

    Args:
        case: what is compared.
        folder: where weights and rows are kept between cases.
        rounds: how often each side runs.
        threads: CPU threads of each side.

    Returns:
        What each side measured, by round.
    """
    scalar = case.method == "reward_model"
    model = shapes.saved(case.model, folder, getattr(torch, case.weights), scalar=scalar)
    rows = folder / f"{case.model}-{case.rows}-{case.share}-{case.answers}-{case.count}.jsonl"
    if not rows.exists():
        lengths.write(rows, drawn(case), shapes.SHAPES[case.model]["vocab_size"])
    spec = dataclasses.asdict(case) | {"folder": str(model), "rows": str(rows), "threads": threads}
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in case.sides}
    for _ in range(rounds):
        for side in case.sides:
            module, setting = SIDES[side]
            with tempfile.TemporaryDirectory() as scratch:
                found[side].append(_run(module, spec | {"setting": setting, "scratch": scratch}))
    return found


def drawn(case: Case) -> list[lengths.Lengths]:
    """Lengths of a prompt and its answers, for as many prompts as make the case's pairs or answers."""
    prompts = case.count // (case.answers if case.method == "kto" else case.answers - 1)
    if case.rows == "shared":
        return lengths.shared(prompts, case.answers, case.share)
    return (
        lengths.synthetic(prompts, max(2, case.answers))
        if case.rows == "synthetic"
        else lengths.real(case.rows, prompts)
    )


def _run(module: str, spec: dict[str, Any]) -> dict[str, Any]:
    """One side in a process of its own."""
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": str(spec["threads"])}
    command = [sys.executable, "-m", f"benchmarks.{module}", json.dumps(spec)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | KEEP_MEMORY | quiet, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{module} failed on {spec['name']}:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rate(run: dict[str, Any], case: dict[str, Any], clock: str = "seconds") -> float:
    """Examples per second after the first step, in which libraries load and memory is touched."""
    return float((case["count"] - case["batch"]) / sum(run[clock][1:]))


def above(run: dict[str, Any]) -> float:
    """Peak MB above imported libraries, weights, gradients and optimizer state."""
    return float(run["peak"] - run["libraries"] - run["held"])


def summary(entry: dict[str, Any]) -> dict[str, float]:
    """Medians over the rounds, and ours against each of TRL's settings."""
    case, runs, threads = entry["case"], entry["runs"], entry["threads"]

    def middle(side: str, what: Callable[[dict[str, Any]], float]) -> float:
        return statistics.median(what(run) for run in runs[side])

    found = {}
    for side in runs:
        name = side.replace("TRL ", "")
        found[f"rate {name}"] = middle(side, lambda run: rate(run, case))
        found[f"peak {name}"] = middle(side, lambda run: run["peak"])
        found[f"above {name}"] = middle(side, above)
        if side != "ours":
            found[f"speed vs {name}"] = found["rate ours"] / found[f"rate {name}"]
            busy = [middle(which, lambda run: rate(run, case, "cpu")) for which in ("ours", side)]
            found[f"cpu speed vs {name}"] = busy[0] / busy[1]
            found[f"peak vs {name}"] = found["peak ours"] / found[f"peak {name}"]
            found[f"above vs {name}"] = found["above ours"] / found[f"above {name}"]
    busy_seconds = middle("ours", lambda run: sum(run["cpu"][1:])) / threads
    found["gemm share"] = middle("ours", lambda run: run["flops"] / run["gflops"]) / 1e9 / busy_seconds
    rates = [rate(run, case) for run in runs["ours"]]
    found["spread"] = (max(rates) - min(rates)) / found["rate ours"]
    return found


def lines(entry: dict[str, Any]) -> Iterator[str]:
    """The result of a case as it is printed."""
    s = summary(entry)
    name = entry["case"]["name"]
    yield f"{name}: ours {s['rate ours']:.2f} examples/s, {s['gemm share']:.0%} of the measured GEMM rate"
    for name in (side.replace("TRL ", "") for side in entry["runs"] if side != "ours"):
        yield (
            f"  TRL {name}: {s[f'rate {name}']:.2f} examples/s; ours is {s[f'speed vs {name}']:.2f}x as fast "
            f"({s[f'cpu speed vs {name}']:.2f}x by CPU time), peak memory {s[f'peak vs {name}']:.2f}, "
            f"above weights, gradients and optimizer {s[f'above vs {name}']:.2f}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run cases, print each as it ends, and write everything measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", choices=[case.name for case in CASES], help="may be repeated")
    options = common(parser, "race.json").parse_args(arguments)
    names = options.case or [case.name for case in CASES]
    wanted = sorted((case for case in CASES if case.name in names), key=lambda case: names.index(case.name))
    if "ESPALIER_DATA" not in os.environ:
        wanted = [case for case in wanted if case.rows == "synthetic"]
    print("On CPU, TRL projects every position to the vocabulary; on CUDA it skips those without a label.")
    record(wanted, options)


def common(parser: argparse.ArgumentParser, record: str, *, rounds: int = 2) -> argparse.ArgumentParser:
    """The options of every race."""
    parser.add_argument("--missing", action="store_true", help="leave out what the record has")
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results" / record)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "espalier-benchmarks")
    return parser


def record(cases: Iterable[Case], options: argparse.Namespace) -> None:
    """Race each case and add it to the record, with the load it began under."""
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.scratch.mkdir(parents=True, exist_ok=True)
    machine = meter.machine()
    for case in cases:
        known = recorded(options.out).get(case.name)
        if options.missing and known and covers(known, case, options.rounds, options.threads):
            continue
        now = machine | meter.load()
        print(f"{now['date']}: load average {now['load']}, {now['busy']:.0%} of the processor busy", flush=True)
        runs = race(case, options.scratch, rounds=options.rounds, threads=options.threads)
        entry = {"case": dataclasses.asdict(case), "machine": now, "threads": options.threads, "runs": runs}
        print("\n".join(lines(entry)), flush=True)
        unfinished = options.out.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"cases": recorded(options.out) | {case.name: entry}}, indent=1) + "\n")
        unfinished.replace(options.out)


def recorded(path: Path) -> dict[str, Any]:
    """The cases of a record, as it is now: another run may add to it."""
    found: dict[str, Any] = json.loads(path.read_text())["cases"] if path.exists() else {}
    return found


def covers(entry: dict[str, Any], case: Case, rounds: int, threads: int) -> bool:
    """Whether a recorded case is this one, in as many rounds and on as many threads."""
    known = {field.name: field.default for field in dataclasses.fields(Case)} | entry["case"]
    same = dataclasses.replace(case, **known | {"sides": tuple(known["sides"])}) == case
    return same and entry["threads"] >= threads and len(entry["runs"]["ours"]) >= rounds


if __name__ == "__main__":
    main()
