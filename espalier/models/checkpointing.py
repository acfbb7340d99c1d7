"""Activation checkpointing (Chen et al., 2016), arXiv:1604.06174: layers computed again in the backward pass."""

from __future__ import annotations

from typing import Any

from torch import nn

from espalier.errors import ModelError
from espalier.models.heads import base_of


def checkpoint(model: nn.Module, every: int) -> int:
    """Keep no activations of every so many-th layer but what goes into it.

    Args:
        model: a transformers model, or an adapter's wrapper around one.
        every: 1 for all layers, 2 for each second one.

    Returns:
        How many layers are computed again.

    Raises:
        ModelError: the model cannot, or not for some of its layers.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    base: Any = base_of(model)
    kind = type(base).__name__
    try:
        enable = getattr(base, "activation_checkpointing_enable", None) or base.gradient_checkpointing_enable
        enable({"use_reentrant": False})
    except ValueError as error:
        raise ModelError(f"{kind} cannot compute its activations again; leave activation_checkpointing out.") from error
    layers = [module for module in base.modules() if isinstance(module, GradientCheckpointingLayer)]
    if every > 1 and not layers:
        raise ModelError(f"{kind} computes all its layers again or none: set checkpoint_layers = 1.")
    for number, layer in enumerate(layers):
        layer.gradient_checkpointing = number % every == 0
    return sum(layer.gradient_checkpointing for layer in layers)
