"""The repeated layers of a model: where they are, and a copy of one put behind it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn

from espalier.errors import ModelError
from espalier.models.adapters import OUTPUTS
from espalier.models.heads import base_of, body_of


def layers_of(model: nn.Module) -> nn.ModuleList:
    """The list of a model's repeated layers."""
    count = base_of(model).config.get_text_config().num_hidden_layers
    lists = [m for m in body_of(model).modules() if isinstance(m, nn.ModuleList) and len(m) == count]
    if not lists:
        raise ModelError(f"{type(base_of(model)).__name__} has no list of {count} layers to be expanded.")
    return lists[0]


def expand(model: nn.Module, behind: list[int]) -> list[nn.Module]:
    """Put a copy of each of these layers behind it, whose outputs are zero, so that it changes nothing.

    Args:
        model: a transformers model; it and its config are changed in place.
        behind: numbers of layers, ascending.

    Returns:
        The new layers.
    """
    layers = layers_of(model)
    order = [n for i in range(len(layers)) for n in ([i, i] if i in behind else [i])]
    new = []
    for i in reversed(behind):
        block = copy.deepcopy(layers[i])
        _silence(block)
        layers.insert(i + 1, block)
        new.append(block)
    for i, layer in enumerate(layers):
        for module in layer.modules():
            if isinstance(getattr(module, "layer_idx", None), int):
                setattr(module, "layer_idx", i)  # noqa: B010
    held = [vars(module).get("config") for module in base_of(model).modules()]  # parts may have one of their own
    for config in {id(c): c for c in (c.get_text_config() for c in held if c is not None)}.values():
        for name, values in vars(config).items():  # what it lists by layer: kinds of attention
            if isinstance(values, list) and len(values) == len(layers) - len(behind):
                setattr(config, name, [values[n] for n in order])
        config.num_hidden_layers = len(layers)
    return new[::-1]


def _silence(block: nn.Module) -> None:
    """Set what ends attention and feed-forward to zero."""
    ends = {name: p for name, p in block.named_parameters() if set(name.split(".")) & set(OUTPUTS)}
    if not ends or not all(p.is_floating_point() for p in ends.values()):
        raise ModelError(
            f"a {type(block).__name__} cannot be copied as a layer that changes nothing: it is quantized, or what ends "
            "its parts has another name than usual."
        )
    with torch.no_grad():
        for p in ends.values():
            p.zero_()


def skip(block: nn.Module, inputs: Any, output: Any) -> Any:
    """A forward hook of a layer that may be switched off: what comes in goes out."""
    if block.acts:
        return output
    return inputs[0] if isinstance(output, torch.Tensor) else (inputs[0], *output[1:])
