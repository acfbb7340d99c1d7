"""What a run needs, on disk and tiny: a model folder, files of rows, and recipes over them."""

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from espalier.recipe import Recipe, load_recipe
from tests.models.tiny import tiny
from tests.tokenizers import chat_tokenizer

SMALL = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2, "num_key_value_heads": 4}


def save_model(folder: Path, *, seed: int = 0, **changes: Any) -> Path:
    """A random Llama of two narrow layers with a byte-level chat tokenizer; `changes` are fields of its config."""
    tokenizer = chat_tokenizer(bos=True, pad="<|im_start|>")
    special = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    model = tiny("llama", seed=seed, **SMALL | special | {"vocab_size": len(tokenizer)} | changes)
    model.generation_config.update(**special)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_rows(file: Path, rows: Iterable[Mapping[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


def answers(count: int = 24, seed: int = 0) -> list[dict[str, str]]:
    """Prompts with completions, of many lengths."""
    draw = random.Random(seed)
    words = ["sum", "of", "two", "odd", "numbers", "and", "more"]
    return [
        {
            "prompt": " ".join([str(n), *draw.choices(words, k=draw.randint(1, 5))]),
            "completion": "yes " * draw.randint(1, 4),
        }
        for n in range(count)
    ]


def pairs(count: int = 24, seed: int = 0) -> list[dict[str, str]]:
    """Prompts with a chosen and a rejected completion."""
    rows = answers(count, seed)
    return [{"prompt": r["prompt"], "chosen": r["completion"], "rejected": f"no {r['completion']}"} for r in rows]


def recipe_of(folder: Path, objective: str = "sft", *, out: str = "run", **given: Any) -> Recipe:
    """A recipe over a folder's `model` and `sft.jsonl` or `dpo.jsonl`, made where they are missing; runs in float32."""
    if "model" not in given and "from_run" not in given:
        given["model"] = folder / "model"
        if not given["model"].exists():
            save_model(given["model"])
    if "data" not in given:
        given["data"] = folder / f"{objective}.jsonl"
        if not given["data"].exists():
            write_rows(given["data"], answers() if objective == "sft" else pairs())
    settings = {"dtype": "float32", "threads": 1, "batch_size": 4, "eval_every": 2, "save_every": 2, "eval_share": 0.2}
    return load_recipe(objective=objective, out=folder / out, **settings | given)
