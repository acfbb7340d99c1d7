"""Weights under their GGUF names and in GGUF's order of rows, and back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from espalier.errors import ModelError

Array = npt.NDArray[Any]

ARCHITECTURES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "llama",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "GemmaForCausalLM": "gemma",
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3",
}
ENDS = (".weight", ".bias")
BLOCK = 32  # weights that share a scale in Q8_0


class Names:
    """The names and the layout of one architecture's tensors.

    Args:
        architecture: as GGUF calls it.
        config: of the Hugging Face model.
    """

    def __init__(self, architecture: str, config: Any):
        from gguf import MODEL_ARCH_NAMES, get_tensor_name_map

        arch = next(key for key, name in MODEL_ARCH_NAMES.items() if name == architecture)
        self.architecture, self.config = architecture, config
        self._map = get_tensor_name_map(arch, config.num_hidden_layers)

    def of(self, name: str) -> str:
        """The GGUF name of a Hugging Face tensor.

        Raises:
            ModelError: it has none.
        """
        found = self._map.get_name(name, try_suffixes=ENDS)
        if found is None:
            raise ModelError(f"GGUF has no place for the tensor {name} in a {self.architecture} model.")
        return str(found)

    def there(self, name: str, tensor: Tensor) -> Tensor:
        """A tensor as GGUF keeps it."""
        if heads := self._turned(name):
            return _pairs(tensor, heads, 2, -1)
        return tensor + 1 if self._offset(name) else tensor

    def back(self, name: str, tensor: Tensor) -> Tensor:
        """A tensor as Hugging Face keeps it."""
        if heads := self._turned(name):
            return _pairs(tensor, heads, -1, 2)
        return tensor - 1 if self._offset(name) else tensor

    def _turned(self, name: str) -> int:
        """Heads of a projection whose rows GGUF orders by rotary pair; 0 where it keeps the order."""
        heads = {"q_proj": self.config.num_attention_heads, "k_proj": self.config.num_key_value_heads}
        return int(heads.get(name.split(".")[-2], 0)) if self.architecture == "llama" else 0

    def _offset(self, name: str) -> bool:
        """Whether the model adds one to this weight, which GGUF has added already."""
        return self.architecture.startswith("gemma") and name.endswith("norm.weight")


def _pairs(tensor: Tensor, heads: int, first: int, second: int) -> Tensor:
    """Rows of each head from halves to neighbors (2, -1), or from neighbors to halves (-1, 2)."""
    return tensor.reshape(heads, first, second, *tensor.shape[1:]).transpose(1, 2).reshape(tensor.shape)


def tensors(model: Any, names: Names, kind: str) -> Iterator[tuple[str, Tensor, Any]]:
    """The GGUF name, the float32 tensor in GGUF's layout and the GGUF type of every weight; a tied head has none."""
    from gguf import GGMLQuantizationType

    tied = model.config.tie_word_embeddings
    for name, tensor in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        given = kind if tensor.dim() > 1 else "F32"
        if given == "Q8_0" and tensor.shape[-1] % BLOCK:
            given = "F16"
        yield names.of(name), names.there(name, tensor.float()), GGMLQuantizationType[given]
    if (factors := rope_factors(model)) is not None:
        yield "rope_freqs.weight", factors, GGMLQuantizationType.F32


def rope_factors(model: Any) -> Tensor | None:
    """What Llama 3's scaling divides each rotary frequency by; None for other scalings. [head_dim / 2]"""
    rope = getattr(model.config, "rope_parameters", None) or {}
    if rope.get("rope_type") != "llama3":
        return None
    scaled = model.model.rotary_emb.inv_freq.double()
    plain = float(rope["rope_theta"]) ** -(torch.arange(len(scaled), dtype=torch.float64) / len(scaled))
    factors: Tensor = (plain / scaled).float()
    return factors


def packed(tensor: Tensor, kind: Any) -> Array:
    """A tensor in a GGUF type."""
    from gguf import quantize

    found: Array = quantize(np.ascontiguousarray(tensor.numpy()), kind)
    return found
