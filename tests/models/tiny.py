"""Tiny seeded random models of many architectures: `tiny("llama")`. Every weight matters: what is lost shows."""

import copy
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

VOCABULARY = 60
LLAMA = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
}
HEAD = {"head_dim": 8}
ROPE = {"rope_parameters": {"rope_type": "default", "rope_theta": 10_000.0}}
KINDS: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA | HEAD,
    "mistral": LLAMA | {"sliding_window": 5},
    "gemma2": LLAMA
    | HEAD
    | {"sliding_window": 5, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0, "query_pre_attn_scalar": 8},
    "gemma3_text": LLAMA
    | HEAD
    | {"sliding_window": 5, "layer_types": ["sliding_attention", "full_attention"], "query_pre_attn_scalar": 8},
    "gemma4_text": LLAMA  # its layers keep configs of their own
    | HEAD
    | {
        "sliding_window": 5,
        "layer_types": ["sliding_attention", "full_attention"],
        "global_head_dim": 16,
        "vocab_size_per_layer_input": VOCABULARY,
        "hidden_size_per_layer_input": 8,
    },
    "gpt_oss": LLAMA | HEAD | {"sliding_window": 5, "num_local_experts": 4, "num_experts_per_tok": 2} | ROPE,
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128},
    "phi3": LLAMA | {"pad_token_id": 0},
    "olmo2": LLAMA,
    "granite": LLAMA | {"logits_scaling": 3.0, "attention_multiplier": 0.3, "residual_multiplier": 0.5},
    "cohere": LLAMA | {"logit_scale": 0.25},
    "opt": {
        "hidden_size": 32,
        "ffn_dim": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 128,
        "word_embed_proj_dim": 16,
    },
    "gpt_neox": LLAMA | {"rotary_pct": 0.5},
    "stablelm": LLAMA,
    "nemotron": LLAMA | HEAD,
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "gptj": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 128, "rotary_dim": 4},
    "lfm2": LLAMA | {"layer_types": ["conv", "full_attention"]},
    "mamba": {"hidden_size": 32, "state_size": 4, "num_hidden_layers": 2, "time_step_rank": 4},
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 1, "num_heads": 4},
    "bert": LLAMA,
}


def config_of(name: str, **changes: Any) -> Any:
    """The config of a tiny model; of a kind that is not listed, all its fields are `changes`."""
    special = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0, "vocab_size": VOCABULARY}
    return AutoConfig.for_model(name, **copy.deepcopy(special | KINDS.get(name, {}) | changes))


def tiny(name: str, *, seed: int = 0, std: float = 0.2, **changes: Any) -> Any:
    """A random model in eval mode and float32; `changes` are fields of its config."""
    classes = {"t5": AutoModelForSeq2SeqLM, "bert": AutoModelForMaskedLM}
    config = config_of(name, **changes)
    config._experts_implementation = "eager"  # the faster ones take no float64
    model = classes.get(name, AutoModelForCausalLM).from_config(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if p.dim() > 1 and "A_log" not in key:
                p.copy_(noise * std)
            else:  # norms, biases, sinks
                p.add_(noise * 0.3 if p.dim() == 1 else noise * 0.01)
    return model.eval()
