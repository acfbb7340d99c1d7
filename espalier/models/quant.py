"""Frozen weights in few bits, through bitsandbytes: NF4 with double quantization, and int8.

nf4    QLoRA (Dettmers et al., 2023), arXiv:2305.14314: 16 values, a scale for each 64 weights, itself in 8 bits
int8   LLM.int8() (Dettmers et al., 2022), arXiv:2208.07339: a scale for each row, outliers among the inputs apart
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from espalier.errors import ModelError

NF4_BITS = 4 + (8 + 32 / 256) / 64  # per weight: the scale of 64 weights has 8 bits, and of 256 scales one has 32
NAMES = ("nf4", "int8")


def config(name: str, compute: torch.dtype, whole: Sequence[str] = ()) -> Any:
    """What transformers is told to quantize with while it loads.

    Args:
        name: nf4 or int8.
        compute: what NF4 weights become for a matrix product; int8 has its own.
        whole: layers that are left as they are; only the output head where it is empty.

    Raises:
        ModelError: no such name, or bitsandbytes is missing.
    """
    if name not in NAMES:
        raise ModelError(f"no quantization named {name!r}. Known: {', '.join(NAMES)}.")
    logging.getLogger("bitsandbytes").setLevel(logging.CRITICAL)  # kernels it would like to download
    try:
        import bitsandbytes  # noqa: F401
    except ImportError:
        raise ModelError(f"quantize = {name} needs bitsandbytes: pip install 'espalier-lm[quant]'.") from None
    from transformers import BitsAndBytesConfig

    left = list(whole) or None
    if name == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=left)
    return BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=compute,
        llm_int8_skip_modules=left,
    )  # fmt: skip


def layers(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """The quantized layers, by name."""
    for name, layer in model.named_modules():
        if type(layer).__module__.startswith("bitsandbytes."):
            yield name, layer


def refused(model: Any, dtype: torch.dtype) -> list[str]:
    """What to leave whole where kernels here cannot compute some shapes, with a gradient or without: each is tried.

    Returns:
        Names of layers, the output head among them; none where all is well.
    """
    shapes: dict[tuple[Any, ...], bool] = {}
    names = []
    for name, layer in layers(model):
        shape = (type(layer), layer.in_features, layer.out_features)
        if shape not in shapes:
            shapes[shape] = _works(layer, dtype)
        if not shapes[shape]:
            names.append(name)
    head = model.get_output_embeddings()
    return names and [*names, *(name for name, layer in model.named_modules() if layer is head)]


def _works(layer: Any, dtype: torch.dtype) -> bool:
    few, weight = torch.zeros(2, layer.in_features, dtype=dtype), layer.weight
    layer = copy.deepcopy(layer).eval()  # where nothing has a gradient, weights are laid out anew
    for differentiable in (True, False):
        try:
            with torch.set_grad_enabled(differentiable):
                layer(few.to(weight.device).requires_grad_(differentiable))
        except (RuntimeError, ValueError, AssertionError, NotImplementedError):
            return False
    return True


def bits(model: nn.Module) -> float:
    """Bits per weight of the quantized layers, with all that is kept to read them."""
    size = count = 0
    for _, layer in layers(model):
        state = getattr(layer.weight, "quant_state", None)
        size += sum(_bytes(x) for x in (layer.weight, *_scales(state or layer.weight)))
        count += layer.in_features * layer.out_features
    return 8 * size / max(1, count)


def _scales(state: Any) -> list[Any]:
    """The scales of a weight, and the scales of its scales."""
    nested = getattr(state, "state2", None)
    return [getattr(state, name, None) for name in ("absmax", "SCB")] + ([nested.absmax] if nested is not None else [])


def _bytes(x: Any) -> int:
    return x.numel() * x.element_size() if isinstance(x, Tensor) else 0
