"""The body and the output head of a causal language model, as they act on the logits."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from espalier.errors import ModelError
from espalier.trees.logps import Head

SOFT_CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")  # Gemma, RecurrentGemma, xLSTM


def base_of(model: nn.Module) -> Any:
    """The transformers model itself, inside whatever PEFT wrapped around it."""
    wrapped: Any = model
    return wrapped.get_base_model() if hasattr(wrapped, "get_base_model") else wrapped


def body_of(model: nn.Module) -> nn.Module:
    """Everything up to the last hidden states, final norm included."""
    base = base_of(model)
    for body in (base.get_decoder(), getattr(base, "model", None)):
        if isinstance(body, PreTrainedModel) and body is not base:
            return body
    raise ModelError(f"{type(base).__name__} is no causal language model with a head: it has no body to run alone.")


def head_of(model: nn.Module) -> Head:
    """The output head with its effective weight, bias, logit scale and soft cap."""
    base = base_of(model)
    layer = base.get_output_embeddings()
    if layer is None:
        raise ModelError(f"{type(base).__name__} has no output head.")
    config = base.config.get_text_config()
    weight, bias = _effective(layer)
    caps = (getattr(config, name, None) for name in SOFT_CAPS)
    return Head(weight, bias, _scale(config), next((float(cap) for cap in caps if cap), None))


def _scale(config: Any) -> float:
    """What the model multiplies its logits with. The same name may say multiply in one model and divide in another."""
    times = ["logit_scale", "lm_head_multiplier", "output_multiplier"]  # Cohere, Falcon-H1, Muse
    over = ["logits_scaling", "logits_mup_width_multiplier"]  # Granite and MiniCPM3, Inkling
    if config.model_type == "hyperclovax":
        times, over = over, times
    factors = [float(getattr(config, name, None) or 1.0) for name in times]
    divisors = [float(getattr(config, name, None) or 1.0) for name in over]
    return math.prod(factors) / math.prod(divisors)


def _effective(layer: Any) -> tuple[Tensor, Tensor | None]:
    """The weight an output layer acts with: of the copy PEFT trains, or with the active LoRA updates added."""
    if hasattr(layer, "modules_to_save"):
        active = None if layer.disable_adapters or not layer.active_adapters else layer.active_adapters[0]
        return _effective(dict(layer.modules_to_save.items()).get(active, layer.original_module))
    if hasattr(layer, "base_layer"):
        weight, bias = _effective(layer.base_layer)
        for name in [] if layer.disable_adapters or layer.merged else layer.active_adapters:
            weight, bias = _updated(layer, name, weight, bias)
        return weight, bias
    if hasattr(layer, "token_adapter") or not layer.weight.is_floating_point():
        raise ModelError(
            "an output head that is quantized or trains single tokens is not supported; leave it as it is."
        )
    return layer.weight, getattr(layer, "bias", None)


def _updated(layer: Any, name: str, weight: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Weight and bias with one LoRA update added; an adapter that does not touch this layer leaves them."""
    from peft.tuners.lora import Linear

    if not any(name in getattr(layer, part) for part in layer.adapter_layer_names):
        return weight, bias
    plain = isinstance(layer, Linear) and name not in layer.lora_variant
    if not plain or (layer.training and getattr(layer.lora_dropout[name], "p", 0.0)):
        raise ModelError(
            f"adapter {name!r} changes the output head in a way that is not supported: only LoRA is, without dropout "
            "and without a variant such as DoRA. Leave the head out of its targets."
        )
    down, up, scale = layer.lora_A[name].weight, layer.lora_B[name], layer.scaling[name]
    update = scale * (up.weight @ down)
    if up.bias is not None:
        bias = scale * up.bias if bias is None else bias + scale * up.bias
    return weight + update.to(torch.promote_types(weight.dtype, update.dtype)), bias
