"""TRL's side of a race, driven through its trainers as a user drives them. Prints one JSON line."""

from __future__ import annotations

import importlib
import itertools
import json
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import torch

from benchmarks import lengths, meter

PER_DEVICE = 8  # rows computed at once by default
HOMES = {  # trainer and config, and where they are
    "sft": ("trl", "SFT"),
    "dpo": ("trl", "DPO"),
    "kto": ("trl", "KTO"),
    "orpo": ("trl.experimental.orpo", "ORPO"),
    "reward_model": ("trl", "Reward"),
}


def classes(method: str) -> tuple[Any, Any]:
    """The trainer of a method, and its config."""
    home, name = HOMES[method]
    module = importlib.import_module(home)
    return getattr(module, f"{name}Trainer"), getattr(module, f"{name}Config")


def options(spec: dict[str, Any]) -> dict[str, Any]:
    """TRL's own defaults, or the fastest and leanest of its settings found on a CPU."""
    at_once = min(spec["batch"], PER_DEVICE)
    if spec["setting"] == "best":
        at_once = 2 if spec["method"] == "kto" else 1  # one answer alone has no mismatched one: TRL refuses
    found: dict[str, Any] = {
        "per_device_train_batch_size": at_once,
        "gradient_accumulation_steps": spec["batch"] // at_once,
        "bf16": spec["dtype"] == "bfloat16",
    }
    if spec["setting"] == "best":
        found["gradient_checkpointing"] = False
    if spec["method"] in ("dpo", "kto"):
        found["precompute_ref_log_probs"] = spec["reference"] == "cached"
    return found


def rows_of(spec: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows in the fields that the trainer reads."""
    pairs = lengths.read(Path(spec["rows"]))
    if spec["method"] == "sft":
        return [{"prompt": row["prompt"], "completion": row["chosen"]} for row in pairs]
    return lengths.rated(pairs, spec["answers"]) if spec["method"] == "kto" else pairs


def model_of(spec: dict[str, Any]) -> Any:
    """The weights of a run, read from their folder."""
    import transformers

    kind = "SequenceClassification" if spec["method"] == "reward_model" else "CausalLM"
    loader = getattr(transformers, f"AutoModelFor{kind}")
    return loader.from_pretrained(spec["folder"], dtype=getattr(torch, spec["weights"]))


def trainer_of(spec: dict[str, Any], watch: Any) -> Any:
    """A TRL trainer on the rows, in their order, for one epoch."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoTokenizer

    trainer, config = classes(spec["method"])
    lora = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM") if spec["lora"] else None
    return trainer(
        model=model_of(spec),
        args=config(
            output_dir=spec["scratch"],
            num_train_epochs=1,
            learning_rate=1e-5,
            lr_scheduler_type="constant",
            train_sampling_strategy="sequential",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            dataloader_pin_memory=False,
            **options(spec),
        ),
        train_dataset=Dataset.from_list(rows_of(spec)),
        processing_class=AutoTokenizer.from_pretrained(spec["folder"]),
        peft_config=lora,
        callbacks=[watch],
    )


def watch() -> Any:
    """A callback that notes when training begins and when each step ends."""
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def __init__(self) -> None:
            self.times: list[tuple[float, float]] = []

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            if not self.times:
                meter.reset_peak()
                self.times.append((time.perf_counter(), time.process_time()))

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.times.append((time.perf_counter(), time.process_time()))

    return Watch()


def run(spec: dict[str, Any]) -> dict[str, Any]:
    """One epoch over the rows in their order; what it took, step by step."""
    classes(spec["method"])  # so that libraries are loaded before memory is read
    torch.set_num_threads(spec["threads"])
    libraries, _ = meter.memory()
    watched = watch()
    begun = time.perf_counter()
    trainer = trainer_of(spec, watched)
    done = trainer.train()
    reference = getattr(trainer, "ref_model", None)
    models = [
        trainer.model,
        *([reference.requires_grad_(False)] if reference is not None else []),
    ]  # it has no gradient
    times = watched.times
    return {
        "seconds": [b[0] - a[0] for a, b in itertools.pairwise(times)],
        "cpu": [b[1] - a[1] for a, b in itertools.pairwise(times)],
        "loss": done.training_loss,
        "prepared": times[0][0] - begun,
        "libraries": libraries,
        "peak": meter.memory()[1],
        "held": meter.held(*models),
    }


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    print(json.dumps(run(json.loads(sys.argv[1]))))
