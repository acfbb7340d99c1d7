"""Handing over what a run made: an adapter in PEFT's format, or a model in Hugging Face's, with its tokenizer.

A model with a scalar head becomes a sequence classification model of one label, its adapter merged into it: the base
alone would not tell how many labels there are, nor a pad token that the end of a row can be told from.
"""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import nn

from espalier.models.added import Attached
from espalier.models.heads import is_scalar
from espalier.models.load import quietly
from espalier.run import write_text


def handover(model: Any, weights: dict[str, torch.Tensor], renderer: Any, folder: Path, *, base: str) -> None:
    """Save an adapter (PEFT's format) or a model (Hugging Face's) with its tokenizer, whole or not at all.

    Args:
        model: what was trained, in PEFT's wrapper where it is an adapter.
        weights: the trained weights, whole, by name.
        renderer: whose tokenizer, template and end-of-turn tokens go along.
        folder: where to.
        base: the folder or id of an adapter's base model.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    tokenizer, scalar = renderer.tokenizer, is_scalar(model)
    if scalar and hasattr(model, "peft_config"):
        model = copy.deepcopy(model).merge_and_unload()
        weights = {}
    state = _gathered(model, weights)
    if scalar:
        tokenizer = _padded(renderer)
        model.config.pad_token_id = tokenizer.pad_token_id
    base = str(Path(base).resolve()) if Path(base).exists() else base
    if isinstance(model, Attached) and model.whole:
        model = model.base_model
        state = {name.removeprefix("base_model."): value for name, value in state.items()}
    if isinstance(model, Attached):
        model.save(partial, weights, base)
    elif hasattr(model, "peft_config"):
        name = model.active_adapter
        config = model.peft_config[name]
        config.base_model_name_or_path = base
        _settle(model, config)
        with quietly():
            model.save_pretrained(partial, selected_adapters=[name], save_embedding_layers=False, state_dict=state)
    else:
        sampling = getattr(model, "generation_config", None)  # a model that scores has none
        if sampling is not None and renderer.stop_ids:
            sampling.eos_token_id = list(renderer.stop_ids)
        _settle_sampling(sampling)
        model.save_pretrained(partial, state_dict=state)
        _forget_attention(partial)
    tokenizer.save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _settle(model: Any, config: Any) -> None:
    """Write into PEFT's config what has become of the adapter: the ranks left, a prefix without its network."""
    if getattr(config, "prefix_projection", False):
        config.prefix_projection = False
    if hasattr(config, "rank_pattern") and hasattr(config, "target_r"):
        named = model.base_model.model.named_parameters()
        end = f"lora_E.{model.active_adapter}"
        config.rank_pattern = {name: (p != 0).view(-1).tolist() for name, p in named if name.endswith(end)}


def _settle_sampling(config: Any) -> None:
    """Say that answers are sampled where it is said how: transformers reads such a config, and refuses to write it."""
    if config is None or config.do_sample:
        return
    config.temperature = config.temperature or None  # 0 is how some write that the likeliest token is taken
    try:
        config.validate(strict=True)
    except ValueError:
        config.do_sample = True


def _padded(renderer: Any) -> Any:
    """The tokenizer with a pad token that ends no row: transformers reads a score at the last token that is not it."""
    tokenizer = copy.deepcopy(renderer.tokenizer)
    known = [tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id, *tokenizer.all_special_ids]
    pad = next(i for i in [*known, *range(len(tokenizer))] if i is not None and i not in renderer.stop_ids)
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad)
    return tokenizer


def _gathered(model: nn.Module, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A model's state with the trained weights whole, under every name that a tied one has."""
    first = {id(parameter): name for name, parameter in model.named_parameters()}
    every = {name: first[id(parameter)] for name, parameter in model.named_parameters(remove_duplicate=False)}
    mine = {name: value for name, value in model.state_dict().items() if not hasattr(value, "full_tensor")}
    return mine | {name: weights[known] for name, known in every.items() if known in weights}


def _forget_attention(folder: Path) -> None:
    """The saved config must not name our attention, which only exists here."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config.pop("_attn_implementation", None)
    write_text(file, json.dumps(config, indent=2) + "\n")
