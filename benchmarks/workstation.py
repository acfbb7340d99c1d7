"""Does the promise hold on a graphics card of 24 GB? SFT, then DPO from its adapter, ours and TRL's, in the same run.

Random weights in the shapes of Qwen3-4B (bfloat16, LoRA) and Qwen3-8B (4-bit base, LoRA); 3,000 rows with a median of
400 tokens, the longest 4,096. Each job has a process of its own that may use 24 GB of the card.
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

import numpy as np
import torch

from benchmarks import lengths, meter, shapes
from benchmarks.race import ROOT

LIMIT = 24 * 2**30
JOBS = (("qwen3-4b", None), ("qwen3-8b", "nf4"))
LONGEST = 4096
BATCH = 16


def rows(path: Path, vocabulary: int, count: int = 3000) -> None:
    """Rows of prompt, chosen and rejected; prompt and chosen together have a median of 400 tokens."""
    chance = np.random.default_rng(0)
    total = np.exp(chance.normal(np.log(400), 0.9, count)).clip(16, LONGEST - 8)
    total[0] = LONGEST - 8
    answers = np.maximum(4, total[:, None] * chance.uniform(0.2, 0.6, (count, 1)) * chance.uniform(0.6, 1, (count, 2)))
    drawn = [(round(t - max(a)), round(a[0]), round(a[1])) for t, a in zip(total, answers, strict=True)]
    lengths.write(path, drawn, vocabulary)


def ours(job: dict[str, Any]) -> dict[str, Any]:
    """One run through the front door, `train`."""
    from espalier.recipe import load_recipe
    from espalier.tuning import train

    found: dict[str, Any] = {"seconds": 0.0, "rows": 0.0}

    def listen(event: Any) -> None:
        if event.kind == "estimate":
            found["predicted"] = event.values["memory_gb"]
            if torch.cuda.is_available():
                torch.cuda.reset_peak_memory_stats()
        elif event.kind == "step":
            found["seconds"] += event.values["seconds"]
            found["rows"] += event.values["examples"]

    start = {"from_run": job["start"]} if job["start"] else {"model": job["model"], "adapter": "lora"}
    options = {"quantize": job["quantize"], "max_tokens": LONGEST, "batch_size": BATCH, "max_steps": job["steps"]}
    train(load_recipe(objective=job["method"], data=job["rows"], out=job["out"], **start, **options), listen=listen)
    return found


def theirs(job: dict[str, Any]) -> dict[str, Any]:
    """The same through TRL's trainers, a row at a time and with gradient checkpointing, as 24 GB ask for."""
    import trl
    from datasets import Dataset
    from peft import LoraConfig, PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    nf4 = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16)
    four = {"quantization_config": nf4} if job["quantize"] else {}
    model: Any = AutoModelForCausalLM.from_pretrained(job["model"], dtype=torch.bfloat16, device_map="auto", **four)
    lora: Any = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    if job["start"]:
        model, lora = PeftModel.from_pretrained(model, job["start"], is_trainable=True), None
    data = lengths.read(Path(job["rows"]))
    if job["method"] == "sft":
        data = [{"prompt": row["prompt"], "completion": row["chosen"]} for row in data]
    trainer, config = (getattr(trl, job["method"].upper() + name) for name in ("Trainer", "Config"))
    extra = {"precompute_ref_log_probs": True} if job["method"] == "dpo" else {}
    made = trainer(
        model=model,
        args=config(
            output_dir=job["out"],
            per_device_train_batch_size=1,
            gradient_accumulation_steps=BATCH,
            max_length=LONGEST,
            max_steps=job["steps"] or -1,
            num_train_epochs=1,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            **extra,
        ),
        train_dataset=Dataset.from_list(data),
        processing_class=AutoTokenizer.from_pretrained(job["model"]),
        peft_config=lora,
    )
    begun = time.perf_counter()
    made.train()
    seconds = time.perf_counter() - begun
    made.save_model(job["out"])
    return {"seconds": seconds, "rows": made.state.global_step * BATCH}


def measure(job: dict[str, Any]) -> None:
    """One job inside the memory limit; prints one JSON line."""
    card = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, LIMIT / card))
    try:
        found = (ours if job["side"] == "ours" else theirs)(job)
    except torch.OutOfMemoryError:
        found = {"out_of_memory": True}
    found["peak"] = torch.cuda.max_memory_allocated() / 2**30
    print(json.dumps(found))


def main() -> None:
    """Every shape, side and method; DPO starts from the adapter that the same side's SFT made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, help="optimizer steps of each job; all rows once by default")
    steps = parser.parse_args().steps
    if not torch.cuda.is_available():
        print("not run: no GPU")
        return
    found = []
    scratch = Path(tempfile.mkdtemp())
    for shape, quantize in JOBS:
        model = shapes.saved(shape, scratch, torch.bfloat16)
        rows(scratch / "rows.jsonl", shapes.SHAPES[shape]["vocab_size"])
        for side in ("ours", "trl"):
            start = ""
            for method in ("sft", "dpo"):
                out = scratch / f"{shape}-{side}-{method}"
                job = {"side": side, "method": method, "model": str(model), "quantize": quantize, "start": start}
                job |= {"rows": str(scratch / "rows.jsonl"), "out": str(out), "steps": steps}
                command = [sys.executable, "-m", "benchmarks.workstation", json.dumps(job)]
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
                result = json.loads(done.stdout.splitlines()[-1])
                found.append({"shape": shape, "side": side, "method": method, **result})
                print(json.dumps(found[-1]), flush=True)
                start = str(out)
    results = {"card": torch.cuda.get_device_name(), "machine": meter.machine(), "jobs": found}
    (ROOT / "benchmarks/results").mkdir(exist_ok=True)
    (ROOT / "benchmarks/results/workstation.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].startswith("{"):
        logging.disable(logging.WARNING)
        warnings.filterwarnings("ignore")
        measure(json.loads(sys.argv[1]))
    else:
        main()
