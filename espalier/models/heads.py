"""The body and the output head of a causal language model, as they act on the logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from espalier.errors import ModelError
from espalier.trees.logps import Head


def base_of(model: nn.Module) -> Any:
    """The transformers model itself, inside whatever PEFT wrapped around it."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def body_of(model: nn.Module) -> nn.Module:
    """Everything up to the last hidden states, final norm included."""
    base = base_of(model)
    body: nn.Module = base.get_decoder()
    if body is base:
        raise ModelError(f"{type(base).__name__} is no causal language model with a head: it has no body to run alone.")
    return body


def head_of(model: nn.Module) -> Head:
    """The output head with its effective weight, bias, logit scale and soft cap."""
    base = base_of(model)
    layer = base.get_output_embeddings()
    if layer is None:
        raise ModelError(f"{type(base).__name__} has no output head.")
    config = base.config.get_text_config()
    weight, bias = _effective(layer)
    return Head(weight, bias, _scale(config), getattr(config, "final_logit_softcapping", None))


def _scale(config: Any) -> float:
    """What the model multiplies its logits with: Cohere's logit_scale, Granite's 1 / logits_scaling."""
    scale = float(getattr(config, "logit_scale", None) or 1.0)
    return scale / float(getattr(config, "logits_scaling", None) or 1.0)


def _effective(layer: Any) -> tuple[Tensor, Tensor | None]:
    """The weight an output layer acts with: of the copy PEFT trains, or with the active LoRA updates added."""
    if hasattr(layer, "modules_to_save"):
        if layer.disable_adapters or not layer.active_adapters:
            return _effective(layer.original_module)
        return _effective(layer.modules_to_save[layer.active_adapters[0]])
    if not hasattr(layer, "base_layer"):
        return layer.weight, getattr(layer, "bias", None)
    weight, bias = _effective(layer.base_layer)
    if layer.disable_adapters or layer.merged:
        return weight, bias
    for name in layer.active_adapters:
        if name in getattr(layer, "lora_A", {}):
            if getattr(layer, "use_dora", {}).get(name):
                raise ModelError("DoRA on the output head is not supported; leave the head out of the adapter's targets.")
            delta = layer.lora_B[name].weight @ layer.lora_A[name].weight
            weight = weight + (layer.scaling[name] * delta).to(torch.promote_types(weight.dtype, delta.dtype))
    return weight, bias
