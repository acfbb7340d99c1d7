"""A small twin of a model: the same architecture, every part of which acts within a dozen tokens.

A window of 4,096 cannot be seen on short rows, a soft cap of 50 hardly, an attention sink of zero not at all, and
little of anything in bfloat16. The twin has windows of 4, low caps, random float32 weights, few and small layers.
"""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import torch
from torch import nn

LARGEST = 200_000_000  # parameters; a twin that would have more is not made
WINDOWS = ("sliding_window", "attention_chunk_size", "window_size")
WINDOW = 4
CAPS = {"attn_logit_softcapping": 2.0, "final_logit_softcapping": 4.0}
TOKENS = {"vocab_size": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
SMALL = {
    "hidden_size": 64, "num_attention_heads": 4, "head_dim": 16, "rotary_dim": 8, "intermediate_size": 96,
    "q_lora_rank": 32, "kv_lora_rank": 32, "qk_rope_head_dim": 16, "qk_nope_head_dim": 16, "qk_head_dim": 32,
    "v_head_dim": 16, "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
    "n_group": 1, "num_group": 1, "topk_group": 1, "vocab_size_per_layer_input": 64, "hidden_size_per_layer_input": 16,
    "num_heads": 8, "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_ssm": 128, "mamba_chunk_size": 8, "chunk_size": 8,
    "linear_num_heads": 4, "linear_num_key_heads": 4, "linear_num_value_heads": 4, "linear_head_dim": 16,
    "linear_key_head_dim": 16, "linear_value_head_dim": 16,
}  # fmt: skip


def twin_of(model: Any, max_tokens: int | None = None) -> Any:
    """A twin of a transformers model on the CPU, or None where its class cannot be made small.

    Args:
        model: the model; it is not touched.
        max_tokens: the longest row there will be; a window that is longer stays as it is.
    """
    for shrink in (True, False):
        try:
            config = _config(model.config, shrink, max_tokens)
            with torch.device("meta"):
                parameters = sum(p.numel() for p in _build(model, config).parameters())
            if parameters <= LARGEST:
                twin = _build(model, config).float().eval().requires_grad_(False)
                _draw(twin)
                logits = twin(input_ids=torch.arange(3, 8)[None], use_cache=False).logits
                if bool(torch.isfinite(logits).all()):
                    return twin
        except Exception:  # any class may refuse dimensions it was not made for, each in its own way
            continue
    return None


def has_windows(model: Any) -> bool:
    """Whether tokens see only so many before them, in some layers."""
    return any(getattr(model.config.get_text_config(), name, None) is not None for name in WINDOWS)


def _build(model: Any, config: Any) -> Any:
    if config is config.get_text_config():
        return type(model)(config)
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_config(config.get_text_config())  # the language model of a model that also sees


def _draw(twin: nn.Module) -> None:
    """Make every weight matter, those that start at zero or one too."""
    generator = torch.Generator().manual_seed(0)
    for p in twin.parameters():
        p.add_(torch.randn(p.shape, generator=generator), alpha=0.1)


def _config(config: Any, shrink: bool, max_tokens: int | None) -> Any:
    config = copy.deepcopy(config)
    text = config.get_text_config()
    text._attn_implementation = "eager"  # every model has it, on every machine
    _fewest_layers(text)
    for name in WINDOWS:
        window = getattr(text, name, None)
        if isinstance(window, int) and (max_tokens is None or window < max_tokens):
            setattr(text, name, min(window, WINDOW))
    _set(text, CAPS)
    _set(text, TOKENS)
    text.pad_token_id = 0  # must lie within the vocabulary, where there is one at all
    if shrink:
        heads = getattr(text, "num_attention_heads", None) or 1
        shared = heads // (getattr(text, "num_key_value_heads", None) or heads)
        _set(text, SMALL | {"num_key_value_heads": max(1, SMALL["num_attention_heads"] // shared)})
        rope = getattr(text, "rope_parameters", None) or {}
        for part in [rope, *(value for value in rope.values() if isinstance(value, dict))]:
            if part.get("rope_type") == "longrope":  # it lists a factor for each dimension
                part["rope_type"] = "default"
    return config


def _set(config: Any, values: dict[str, Any]) -> None:
    """Change what the config has; None and absent stay, and so does what it computes or keeps by layer."""
    for name, value in values.items():
        with contextlib.suppress(AttributeError, RuntimeError):
            now = getattr(config, name, None)
            if now is not None:
                setattr(config, name, [value] * len(now) if isinstance(now, list) else value)


def _fewest_layers(config: Any) -> None:
    """Keep the first layers, as many as show every kind of layer that the config lists."""
    layers = config.num_hidden_layers
    lists = {k: v for k, v in vars(config).items() if isinstance(v, list | tuple) and len(v) == layers > 1}
    kinds = list(zip(*map(list, lists.values()), strict=True)) if lists else [()] * layers
    keep = min(layers, max(2, *(kinds.index(kind) + 1 for kind in kinds)))
    times = 1
    if getattr(
        config, "num_kv_shared_layers", 0
    ):  # the last layers take the keys of earlier ones: keep as many of them
        config.num_kv_shared_layers, times = keep, 2
    for name, values in lists.items():
        setattr(config, name, values[:keep] * times)
    config.num_hidden_layers = keep * times
