"""What `espalier estimate` says of memory and speed, against runs: each way on each shape, a process of its own a run.

python -m benchmarks.estimate                     every shape and way
python -m benchmarks.estimate --shapes 30m 135m
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks import lengths, meter, shapes
from benchmarks.race import ROOT

RESULTS = ROOT / "benchmarks/results/estimate.json"
JOBS = ("30m", "135m", "qwen3-0.6b")
WAYS = {
    "full": {},
    "full-again": {"activation_checkpointing": True},
    "lomo": {"optimizer": "lomo"},
    "lora": {"adapter": "lora"},
    "lora-again": {"adapter": "lora", "activation_checkpointing": True},
    "qlora": {"adapter": "lora", "quantize": "nf4"},
    "qlora-again": {"adapter": "lora", "quantize": "nf4", "activation_checkpointing": True},
}
ORDER = ("full", "full-again", "lomo", "", "lora", "lora-again", "qlora", "qlora-again")  # as the estimate has them
STEPS, BATCH = 2, 4


def recipe_of(job: dict[str, Any]) -> Any:
    """The recipe of a run: nothing is held back, nothing measured but the training itself."""
    from espalier.recipe import load_recipe

    options = {
        "batch_size": BATCH,
        "max_steps": STEPS,
        "eval_share": 0.0,
        "learning_rate": 1e-4,
        "dtype": job["dtype"],
        "general": "off",
    }
    return load_recipe(
        objective="sft", model=job["model"], data=job["rows"], out=job["out"], **options, **WAYS[job["way"]]
    )


def ran(job: dict[str, Any]) -> dict[str, Any]:
    """One run, and the most memory its process or card held."""
    from espalier.tuning import train

    found = {"begun": time.process_time(), "ended": 0.0, "tokens": 0.0}

    def listen(event: Any) -> None:
        if event.kind == "step" and event.step == 1:  # which sets up what the others use
            found["begun"] = time.process_time()
        elif event.kind == "step":
            found["ended"] = time.process_time()  # of its own: other work on the machine does not count
            found["tokens"] += event.values["tokens"]

    train(recipe_of(job), listen=listen)
    busy = (found["ended"] - found["begun"]) / torch.get_num_threads()
    peak = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else meter.memory()[1]
    return {"peak": peak / 1024, "rate": found["tokens"] / busy}


def foretold(job: dict[str, Any]) -> dict[str, Any]:
    """What the estimate says of the same recipe; of a card it is asked for tensors alone."""
    from espalier.estimating import CONTEXT, GB, Outlook, ways

    outlook = Outlook.of(recipe_of(job))
    begun = time.perf_counter()
    found = outlook.estimate(ways("lora")[ORDER.index(job["way"])])
    own = CONTEXT if outlook.device == "cuda" else 0.0
    return {
        "predicted": (found.memory - own) / GB,
        "predicted_rate": found.tokens_per_second,
        "trained": found.trained,
        "took": time.perf_counter() - begun,
    }


def main() -> None:
    """Every shape and way; the file is written after each, so that it can be stopped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="*", default=JOBS)
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    parser.add_argument("--dtype", default="auto")
    asked = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    past = json.loads(RESULTS.read_text())["jobs"] if RESULTS.exists() else []
    done = {(entry["shape"], entry["way"]): entry for entry in past}
    for shape in asked.shapes:
        model = shapes.saved(shape, scratch, torch.bfloat16)
        rows = scratch / f"{shape}.jsonl"
        lengths.write(rows, [(p, c, 4) for p, c, _ in lengths.synthetic(40)], shapes.SHAPES[shape]["vocab_size"])
        for way in asked.ways:
            job = {"model": str(model), "rows": str(rows), "way": way, "dtype": asked.dtype}
            job["out"] = str(scratch / f"{shape}-{way}")
            entry = {"shape": shape, "way": way}
            for side in ("foretold", "ran"):
                command = [sys.executable, "-m", "benchmarks.estimate", json.dumps({**job, "side": side})]
                finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
                if finished.returncode:
                    raise SystemExit(f"{shape} {way} {side}: {finished.stderr[-2000:]}")
                entry |= json.loads(finished.stdout.splitlines()[-1])
            off = abs(entry["predicted"] - entry["peak"])
            entry |= {"within": off <= 0.15 * entry["peak"] + 0.3}
            done[shape, way] = entry
            print(json.dumps(entry), flush=True)
            RESULTS.write_text(json.dumps({"machine": meter.machine(), "jobs": list(done.values())}, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        logging.disable(logging.WARNING)
        warnings.filterwarnings("ignore")
        given = json.loads(sys.argv[1])
        print(json.dumps((foretold if given.pop("side") == "foretold" else ran)(given)))
    else:
        main()
