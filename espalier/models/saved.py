"""Opening saved adapters over their base: PEFT's, and those that PEFT does not have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from espalier.errors import ModelError
from espalier.models.added import is_ours, open_added
from espalier.models.load import quietly

VIRTUAL = ("PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING")  # PEFT's kinds of virtual tokens


def load_adapter(model: nn.Module, folder: str, *, trainable: bool, name: str = "default") -> nn.Module:
    """A saved adapter over its base, under a name.

    Raises:
        ModelError: it was made for another base, or holds a pickle.
    """
    from peft import PeftModel

    if not (Path(folder) / "adapter_model.safetensors").exists():
        raise ModelError(f"{folder}: no adapter_model.safetensors; adapters saved as pickles (.bin) are refused.")
    if is_ours(folder):
        return open_added(model, folder, trainable=trainable)
    base: Any = model
    config = json.loads((Path(folder) / "adapter_config.json").read_text(encoding="utf-8"))
    trains = trainable and config.get("peft_type") not in VIRTUAL  # PEFT opens those to answer only
    try:
        with quietly():
            loaded: Any = PeftModel.from_pretrained(base, folder, name, is_trainable=trains, local_files_only=True)
            _require_fit(loaded)
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelError(
            f"{folder}: this adapter does not fit the model: it was made for {config.get('base_model_name_or_path')}. "
            f"({' '.join(str(error).split())[:160]})"
        ) from error
    missing = _unfilled(loaded, folder)
    if missing:
        raise ModelError(f"{folder}: this adapter does not fit the model: {missing} is not among its weights.")
    if trains != trainable or not trainable:
        loaded.requires_grad_(False)
    if trains != trainable:
        loaded.prompt_encoder.requires_grad_(True)
    found: nn.Module = loaded
    return found


def _require_fit(model: Any) -> None:
    """Refuse virtual tokens of another width, and keys and values for other layers: PEFT finds out when it answers."""
    config, text = model.active_peft_config, model.config.get_text_config()
    if not config.is_prompt_learning:
        return
    width = model.get_base_model().get_input_embeddings().weight.shape[1]
    if config.peft_type.value != "PREFIX_TUNING" and config.token_dim != width:
        raise ValueError(f"its tokens have {config.token_dim} dimensions, the model's {width}")
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    given, own = (config.num_layers, config.num_attention_heads), (text.num_hidden_layers, heads)
    if config.peft_type.value == "PREFIX_TUNING" and given != own:
        raise ValueError(
            f"its keys are of {given[0]} layers and {given[1]} heads, the model's of {own[0]} and {own[1]}"
        )


def load_second_adapter(model: Any, folder: str, name: str) -> None:
    """Another saved adapter over the same base, beside the one in use, which stays in use."""
    active = model.active_adapter
    with quietly():
        model.load_adapter(folder, name, is_trainable=False, local_files_only=True)
    model.set_adapter(active)
    model.requires_grad_(False)


def _unfilled(model: Any, folder: str) -> str | None:
    """A trainable tensor the adapter's file does not hold: PEFT leaves it as it was, without a word."""
    from peft import get_peft_model_state_dict
    from safetensors import safe_open

    with safe_open(str(Path(folder) / "adapter_model.safetensors"), "pt") as file:
        held = set(file.keys())
    with quietly():
        wanted = set(get_peft_model_state_dict(model, adapter_name=model.active_adapter, save_embedding_layers=False))
    return min(wanted ^ held, default=None)
