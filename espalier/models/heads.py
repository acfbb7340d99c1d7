"""The body and the output head of a causal language model, as they act on the logits."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from espalier.errors import ModelError
from espalier.trees.logps import Head

SOFT_CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")  # Gemma, RecurrentGemma, xLSTM


def base_of(model: nn.Module) -> Any:
    """The transformers model itself, inside whatever PEFT wrapped around it."""
    wrapped: Any = model
    return wrapped.get_base_model() if hasattr(wrapped, "get_base_model") else wrapped


def body_of(model: nn.Module) -> nn.Module:
    """Everything up to the last hidden states, final norm included."""
    from transformers import PreTrainedModel  # seconds, which planting rows need not wait for

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


def with_scalar_head(model: nn.Module, *, seed: int) -> Any:
    """The model's body under a head that gives one number, in transformers' own class for that.

    The weights of the new head are drawn from N(0, 1 / (H + 1)); they are float32 and trained.

    Args:
        model: a causal language model, without an adapter; its body is taken over, not copied.
        seed: of the draw.

    Raises:
        ModelError: transformers has no such class for this architecture.
    """
    from transformers import AutoModelForSequenceClassification

    base = base_of(model)
    config = copy.deepcopy(base.config)
    config.num_labels = 1
    try:
        with torch.device("meta"):
            made: Any = AutoModelForSequenceClassification.from_config(config)
        width = made.score.in_features
    except (ValueError, AttributeError) as error:
        raise ModelError(
            f"transformers has no reward model for {type(base).__name__} (no sequence classification with a head named "
            "'score'). Give another model."
        ) from error
    setattr(made, made.base_model_prefix, base.base_model)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(1, width, generator=generator) / math.sqrt(width + 1)
    made.score = nn.Linear(width, 1, bias=False, device=base.device)
    with torch.no_grad():
        made.score.weight.copy_(weight)
    return made


def is_scalar(model: nn.Module) -> bool:
    """Whether a model has a scalar head, in place of one over tokens."""
    return hasattr(base_of(model), "score")


def score_of(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """What a scalar head makes of hidden states: [T, H] -> [T], float32 or wider."""
    if not is_scalar(model):
        raise ModelError(f"{type(base_of(model)).__name__} has no head that gives a score: it is no reward model.")
    weight, bias = _effective(base_of(model).score)

    def score(hidden: Tensor) -> Tensor:
        wide = torch.promote_types(hidden.dtype, torch.float32)
        bias_too = None if bias is None else bias.to(wide)
        return nn.functional.linear(hidden.to(wide), weight.to(wide), bias_too)[:, 0]

    return score


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
