"""What a GGUF file says about the model beside its weights, and what it cannot say."""

from __future__ import annotations

import math
from typing import Any

from espalier.errors import ModelError
from espalier.export.gguf_tensors import ARCHITECTURES
from espalier.models.load import context_length

# GGUF's key without the architecture, and the config's name: written from the config, and compared with it when read.
FIELDS = {
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.value_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "vocab_size": "vocab_size",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
}
SCALINGS = ("default", "linear", "yarn", "llama3")
SLIDING = {"gemma2": 2, "gemma3": 6}  # of so many layers llama.cpp lets all but the last slide
WHOLE_HEADS = {"gemma2": 46, "gemma3": 62}  # layers of the sizes whose attention is scaled by hidden size over heads
ACTIVATIONS = {"silu", "swish", "gelu_pytorch_tanh", "gelu"}


def architecture_of(config: Any) -> str:
    """The model's architecture as GGUF calls it.

    Raises:
        ModelError: none that is written here, or a variant that llama.cpp computes differently.
    """
    kind = (config.architectures or [type(config).__name__])[0]
    if kind not in ARCHITECTURES:
        raise ModelError(
            f"{kind} is not written to GGUF here (known: {', '.join(sorted(ARCHITECTURES))}). Export with --to hf, and "
            "give that folder to llama.cpp's converter: python convert_hf_to_gguf.py FOLDER --outfile MODEL.gguf"
        )
    found = ARCHITECTURES[kind]
    if odd := _odd(config, found):
        raise ModelError(f"{kind} with {odd} is not what llama.cpp computes for {found}; export with --to hf instead.")
    return found


def _odd(config: Any, architecture: str) -> str:
    """What in a config has no place in GGUF; empty if nothing."""
    rope = rope_of(config)
    if rope.get("rope_type", "default") not in SCALINGS:
        return f"rope_type = {rope['rope_type']!r}"
    if rope.get("partial_rotary_factor", 1.0) not in (None, 1.0):
        return "rotary positions on a part of each head"
    activation = getattr(config, "hidden_activation", None) or config.hidden_act
    if (activation in ("silu", "swish")) == architecture.startswith("gemma") or activation not in ACTIVATIONS:
        return f"the activation {activation!r}"
    if architecture == "qwen2" and "sliding_attention" in (getattr(config, "layer_types", None) or []):
        return "sliding windows"
    if every := SLIDING.get(architecture):
        types = [
            "full_attention" if (n + 1) % every == 0 else "sliding_attention" for n in range(config.num_hidden_layers)
        ]
        if list(config.layer_types) != types:
            return "another order of sliding windows"
        whole = config.hidden_size // config.num_attention_heads
        scale = whole if config.num_hidden_layers == WHOLE_HEADS[architecture] else head_dim(config)
        if config.query_pre_attn_scalar != scale:
            return f"query_pre_attn_scalar = {config.query_pre_attn_scalar}"
    return ""


def rope_of(config: Any, kind: str = "full_attention") -> dict[str, Any]:
    """Rotary settings, of one kind of layers where there are several."""
    found: dict[str, Any] = getattr(config, "rope_parameters", None) or {}
    chosen: dict[str, Any] = found.get(kind, found)
    return chosen


def head_dim(config: Any) -> int:
    """Width of one attention head."""
    return int(getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads)


def usable_context(config: Any, architecture: str) -> int:
    """Tokens a llama.cpp model can use: it knows no sliding window of Mistral's, and is exact within one."""
    window = getattr(config, "sliding_window", None) if architecture == "llama" else None
    return min(context_length(config) or 2048, window or 1 << 40)


def write_metadata(writer: Any, config: Any, architecture: str, *, name: str, base: str, kind: str) -> None:
    """The general keys, and those of the architecture."""
    from gguf import GGML_QUANT_VERSION, LlamaFileType, RopeScalingType

    writer.add_type("model")
    writer.add_name(name)
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, base)
    writer.add_file_type(LlamaFileType["ALL_F32" if kind == "F32" else f"MOSTLY_{kind}"])
    writer.add_quantization_version(GGML_QUANT_VERSION)
    writer.add_context_length(usable_context(config, architecture))
    for key, field in FIELDS.items():
        value = head_dim(config) if field == "head_dim" else getattr(config, field, None)
        if value is not None:
            (writer.add_float32 if isinstance(value, float) else writer.add_uint32)(f"{architecture}.{key}", value)
    rope = rope_of(config)
    writer.add_rope_dimension_count(head_dim(config))
    writer.add_rope_freq_base(float(rope["rope_theta"]))
    if architecture in SLIDING:
        writer.add_sliding_window(config.sliding_window)
    if architecture == "gemma3":
        writer.add_rope_freq_base_swa(float(rope_of(config, "sliding_attention")["rope_theta"]))
    if rope.get("rope_type") in ("linear", "yarn"):
        writer.add_rope_scaling_type(RopeScalingType(rope["rope_type"]))
        writer.add_rope_scaling_factor(float(rope["factor"]))
        if original := rope.get("original_max_position_embeddings"):
            writer.add_rope_scaling_orig_ctx_len(int(original))


def same_settings(reader: Any, config: Any, architecture: str) -> None:
    """Compare what the file says of the model with its config.

    Raises:
        ModelError: it says something else.
    """
    own = {
        key: head_dim(config) if field == "head_dim" else getattr(config, field, None) for key, field in FIELDS.items()
    }
    own |= {"rope.freq_base": rope_of(config)["rope_theta"], "context_length": usable_context(config, architecture)}
    for key, value in own.items():
        field = reader.get_field(f"{architecture}.{key}")
        found = None if field is None else field.contents()
        if found != value and not (found and value and math.isclose(found, value, rel_tol=1e-6)):
            raise ModelError(f"{key} reads differently from the GGUF file. Nothing was kept.")
