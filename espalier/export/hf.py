"""A whole Hugging Face model: weights, tokenizer, chat template, and where generation ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from espalier.errors import ModelError
from espalier.export.conversations import Agreement, same_ids, same_logps
from espalier.export.merge import Merged, rounded
from espalier.export.template import chat_ids
from espalier.models.load import load_tokenizer, load_weights, quietly
from espalier.run import write_text


def write_hf(merged: Merged, folder: Path, dtype: str) -> Agreement:
    """Write a model folder, read it again as anybody would, and compare.

    Args:
        merged: the model, which is rounded to `dtype` in place.
        folder: exists, and is empty.
        dtype: of the weights in the files.

    Raises:
        ModelError: what is read again is not what was written, or not the run's.
    """
    from transformers import AutoModelForCausalLM

    model = rounded(merged.model, dtype)
    end_turns(model, merged.source.renderer)
    with quietly():
        model.save_pretrained(folder)
    merged.tokenizer.save_pretrained(folder)
    forget_machine(folder)
    read: Any = load_weights(AutoModelForCausalLM, str(folder), dtype=getattr(torch, dtype), whole=True)
    _same_weights(model, read)
    tokenizer = load_tokenizer(str(folder))
    same_ids(merged.talks, [chat_ids(tokenizer, talk.asked) for talk in merged.talks], "the export")
    return same_logps(merged.talks, read.float().eval(), dtype, "the export")


def end_turns(model: Any, renderer: Any) -> None:
    """Let generation end at what the training ended turns with, and nowhere else."""
    config = model.generation_config
    config._from_model_config = False  # else older versions make it anew from config.json
    config.eos_token_id = list(renderer.stop_ids)
    config.pad_token_id = config.pad_token_id if config.pad_token_id is not None else renderer.tokenizer.pad_token_id
    if not config.do_sample and (problem := _unsaved(config)):
        config.do_sample = True  # temperatures without sampling: transformers reads such a file and will not write it
        if _unsaved(config):
            raise ModelError(f"generation_config.json cannot be written: {problem}")


def _unsaved(config: Any) -> str:
    try:
        config.validate(strict=True)
    except ValueError as error:
        return " ".join(str(error).split())[:200]
    return ""


def forget_machine(folder: Path) -> None:
    """Take out of the configs what only holds here: our attention, and how the tokenizer was found."""
    here = {"config.json": ["_attn_implementation"], "tokenizer_config.json": ["is_local", "local_files_only"]}
    for file in (folder / name for name in here):
        if file.exists():
            content = json.loads(file.read_text(encoding="utf-8"))
            for key in here[file.name]:
                content.pop(key, None)
            write_text(file, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _same_weights(model: Any, read: Any) -> None:
    """Every tensor bit for bit.

    Raises:
        ModelError: one is not.
    """
    found = read.state_dict()
    for name, value in model.state_dict().items():
        if name not in found or not torch.equal(value, found[name]):
            raise ModelError(f"the export does not hold what was written: {name} reads differently. Nothing was kept.")
