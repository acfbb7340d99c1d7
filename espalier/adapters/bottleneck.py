"""Adapter layers (Houlsby et al., 2019), arXiv:1902.00751."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, relu, silu

from espalier.catalogue import method
from espalier.contracts import Adapter
from espalier.models.adapters import OUTPUTS, chosen, found, require_one, sides
from espalier.models.added import Added, Attached

INNER: dict[str, Callable[[Tensor], Tensor]] = {"gelu": gelu, "relu": relu, "silu": silu}


def bottleneck(h: Tensor, down: nn.Linear, up: nn.Linear, activation: str) -> Tensor:
    """Section 2.1: h + W_up f(W_down h + b_down) + b_up. [..., H] -> [..., H]"""
    inner: Tensor = INNER[activation](down(h.to(down.weight.dtype)))
    added: Tensor = up(inner).to(h.dtype)
    return h + added


class Bottleneck(Added):
    """A linear layer that ends a part of the model, with a bottleneck behind it."""

    def __init__(self, base_layer: nn.Module, size: int, activation: str) -> None:
        super().__init__(base_layer)
        width, device = sides(base_layer)[1], next(base_layer.parameters()).device
        self.down = nn.Linear(width, size, device=device, dtype=torch.float32)
        self.up = nn.Linear(size, width, device=device, dtype=torch.float32)
        self.activation = activation
        nn.init.trunc_normal_(self.down.weight, std=1e-2, a=-2e-2, b=2e-2)
        for start in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(start)

    def changed(self, x: Tensor) -> Tensor:
        """The layer's output through the bottleneck."""
        return bottleneck(self.base_layer(x), self.down, self.up, self.activation)


@method(paper="arXiv:1902.00751")
@dataclass(frozen=True)
class BottleneckAdapter(Adapter):
    """Put two small layers with a skip connection behind attention and feed-forward of each layer, and train them.

    Relations: LoRA changes weights and is merged; this adds layers, costs time when answering, and cannot be merged, so
    no server loads it. 2 H m + H + m numbers twice per layer.
    Departs from the paper: W_up starts at zero, so that the start is the base exactly; the layer norms stay as they
    are; a decoder.
    """

    size: int = 64  # m, width of the bottleneck
    activation: Literal["gelu", "relu", "silu"] = "gelu"
    targets: tuple[str, ...] = ()  # layers it is put behind; empty means those that end attention and feed-forward

    rate: ClassVar[float] = 3.0  # docs/adapters.md has the sweep

    def __post_init__(self) -> None:
        """Refuse a size below one."""
        require_one(self, "size")

    def attach(self, model: nn.Module) -> nn.Module:
        """Replace the layers in place; nothing else is trained."""
        layers = chosen(model, self.targets or found(model, OUTPUTS, self), self)
        model.requires_grad_(False)
        for name, layer in layers.items():
            parent, _, own = name.rpartition(".")
            setattr(model.get_submodule(parent), own, Bottleneck(layer, self.size, self.activation))
        return Attached(model, self)
