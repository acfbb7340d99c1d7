"""What vLLM can load of a run, and the command that serves it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from espalier.errors import ModelError
from espalier.export.source import Source
from espalier.models.load import context_length

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # values of --max-lora-rank


def check_vllm(source: Source) -> None:
    """Refuse an adapter that vLLM refuses, or reads wrongly without a word.

    Raises:
        ModelError: with the reason, and the way out.
    """
    if source.adapter is not None and (reason := refused(source.adapter)):
        raise ModelError(f"vLLM cannot load this adapter: {reason}. Merge it into its model instead: --to hf.")


def refused(adapter: Mapping[str, Any]) -> str:
    """Why vLLM cannot load an adapter; empty if it can."""
    rank = int(adapter.get("r") or 0)
    if adapter.get("peft_type") != "LORA":
        return f"it is of the kind {adapter.get('peft_type')}, and only LORA is loaded"
    if rank > RANKS[-1]:
        return f"its rank is {rank}, and the most is {RANKS[-1]}"
    if adapter.get("use_dora"):
        return "it is a DoRA"
    if adapter.get("modules_to_save"):
        return f"it holds whole modules beside the update (modules_to_save = {', '.join(adapter['modules_to_save'])})"
    if adapter.get("bias", "none") != "none" or adapter.get("lora_bias"):
        return "it trains biases"
    if adapter.get("rank_pattern") or adapter.get("alpha_pattern"):
        return "its layers have different ranks or scales, which vLLM would read as one"
    return ""


def serve_command(source: Source, folder: Path) -> str:
    """The command that serves what was written."""
    words: list[object] = ["--served-model-name", source.name]
    if source.adapter is None:
        words = [folder, *words, *(["--runner", "pooling"] if source.scores else [])]
    else:
        rank = next(rank for rank in RANKS if rank >= int(source.adapter["r"]))
        base = [source.place.model, "--tokenizer", folder, "--chat-template", folder / "chat_template.jinja"]
        lora = ["--enable-lora", "--max-lora-rank", rank, "--lora-modules", f"{source.name}={folder}"]
        words = [*base, "--generation-config", folder, *lora]
    if limit := context_length(source.config):
        words += ["--max-model-len", limit]
    return shlex.join(["vllm", "serve", *map(str, words)])
