"""The adapter by itself, in PEFT's format, with the tokenizer and the template it was trained with."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from espalier.errors import ModelError
from espalier.export.conversations import Agreement, render_all, same_ids, same_logps, score_all
from espalier.export.hf import end_turns, forget_machine
from espalier.export.merge import Tell
from espalier.export.source import Source
from espalier.export.template import chat_ids, shared_template
from espalier.models.load import load_model, load_tokenizer, quietly
from espalier.run import load, write_text

FILES = ("adapter_model.safetensors", "adapter_config.json")


def write_adapter(source: Source, folder: Path, tell: Tell) -> Agreement:
    """Write an adapter folder, read it with plain PEFT over its base, and compare.

    Raises:
        ModelError: there is no adapter, or what is read again is not the run's.
    """
    from peft import PeftModel

    talks = render_all(source.renderer, source.context)
    template = shared_template(source, talks)
    tell(f"reading {source.place.model} in float32 and its adapter")
    loaded = load(source.target, device="cpu", dtype="float32")
    talks = score_all(talks, loaded.policy)
    tokenizer = source.renderer.tokenizer
    tokenizer.chat_template = template
    for name in FILES:
        shutil.copyfile(Path(str(source.place.adapter)) / name, folder / name)
    config = dict(source.adapter or {}, base_model_name_or_path=base_named(source))
    write_text(folder / "adapter_config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    tokenizer.save_pretrained(folder)
    forget_machine(folder)
    base: Any = load_model(source.place.model, dtype=torch.float32, device="cpu")
    end_turns(base, source.renderer)
    base.generation_config.save_pretrained(folder)
    tell("reading it again with PEFT")
    with quietly():
        read: Any = PeftModel.from_pretrained(base, folder, local_files_only=True)
    own = load_tokenizer(str(folder))
    same_ids(talks, [chat_ids(own, talk.asked) for talk in talks], "the export")
    return same_logps(talks, read.eval(), "float32", "the adapter")


def base_named(source: Source) -> str:
    """The base as adapter_config.json names it: where it is, from any folder."""
    model = source.place.model
    return str(Path(model).resolve()) if source.is_local(model) else model


def has_adapter(source: Source) -> None:
    """Refuse a whole model, and an adapter that only exists here.

    Raises:
        ModelError: it is one.
    """
    if source.adapter is None:
        raise ModelError(f"{source.target}: there is no adapter, every weight is its own. Export the model: --to hf.")
    if "espalier" in source.adapter:
        kind = source.adapter["espalier"]["method"]
        raise ModelError(f"{source.target}: PEFT knows no {kind}. Export the merged model: --to hf.")
