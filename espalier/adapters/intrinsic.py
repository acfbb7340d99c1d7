"""Intrinsic dimension (Aghajanyan et al., 2020), arXiv:2012.13255, after Li et al. (2018), arXiv:1804.08838."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from espalier import seeding
from espalier.catalogue import method
from espalier.contracts import Adapter
from espalier.errors import ModelError, RecipeError
from espalier.maths.hadamard import fastfood, power_of_two
from espalier.models.adapters import chosen
from espalier.models.added import Added, Attached


def d90(scores: Mapping[int, float], full: float) -> int | None:
    """The smallest dimension that reaches 90 % of what tuning all weights reaches (Section 3); None if none does.

    Args:
        scores: by dimension, higher is better.
        full: the score with all weights tuned.
    """
    return min((dimension for dimension, score in scores.items() if score >= 0.9 * full), default=None)


class Shifted(Added):
    """A linear layer whose weight is moved along a random projection of a few numbers that all layers share."""

    merges: ClassVar[bool] = True

    def __init__(self, base_layer: nn.Module, shared: list[nn.Parameter], layer: int, name: str, seed: int) -> None:
        super().__init__(base_layer)
        self.shared, self.layer = shared, layer  # a list, so that the parameters are not this layer's
        weight, size = self.weight, power_of_two(len(shared[0]))
        draw = seeding.generator(seed, "intrinsic", name)
        blocks = -(-weight.numel() // size)
        self.register_buffer("signs", torch.randint(0, 2, (size,), generator=draw).mul_(2).sub_(1), persistent=False)
        self.register_buffer("order", torch.randperm(size, generator=draw), persistent=False)
        self.register_buffer("gauss", torch.randn(blocks, size, generator=draw), persistent=False)
        self.to(weight.device)

    def shift(self) -> Tensor:
        """lambda_i (P theta)_i in the shape of the weight."""
        theta, *scales = self.shared
        moved = fastfood(theta, self.signs, self.order, self.gauss, self.weight.numel())  # type: ignore[arg-type]
        moved = moved.view_as(self.weight)
        return scales[0][self.layer] * moved if scales else moved

    def changed(self, x: Tensor) -> Tensor:
        """The layer with its weight moved."""
        weight = self.weight + self.shift().to(self.weight.dtype)
        return nn.functional.linear(x, weight, self.base_layer.bias)  # type: ignore[arg-type]

    def merged(self) -> nn.Module:
        """The layer, moved for good."""
        with torch.no_grad():
            self.weight.add_(self.shift().to(self.weight.dtype))
        return self.base_layer


@method(paper="arXiv:2012.13255")
@dataclass(frozen=True)
class Intrinsic(Adapter):
    """Train `dimension` numbers, and move all linear layers by a fixed random projection of them.

    Relations: measures how many numbers a task takes (`d90`) rather than saving memory: the projection takes as much as
    the weights. Its file holds the numbers and the seed; merged into an ordinary model.
    Departs from the paper: linear layers only, without embeddings and norms; Fastfood's signs and permutation are drawn
    once per weight matrix and only its Gaussian factors for each block.
    """

    dimension: int = 200
    structure: bool = True  # SAID: of these numbers one per layer scales that layer's move; otherwise DID
    projection_seed: int = 0
    targets: tuple[str, ...] = ()  # module names; empty means every linear layer but the output head

    shares: ClassVar[bool] = False
    rate: ClassVar[float] = 50.0

    def attach(self, model: nn.Module) -> nn.Module:
        """Replace the layers in place; nothing else is trained."""
        layers = chosen(model, self.targets, self)
        if not all(isinstance(layer, nn.Linear) and layer.weight.is_floating_point() for layer in layers.values()):
            raise ModelError(
                "adapters/intrinsic moves the weights of linear layers that are not quantized or transposed."
            )
        numbers = {name: int(found[1]) if (found := re.search(r"\.(\d+)\.", name)) else 0 for name in layers}
        count = max(numbers.values()) + 1 if self.structure else 0
        if self.dimension <= count:
            raise RecipeError(
                f"adapters/intrinsic: dimension must be above {count}, of which the layers take one each."
            )
        model.requires_grad_(False)
        device = next(model.parameters()).device
        shared = [nn.Parameter(torch.zeros(self.dimension - count, device=device))]
        shared += [nn.Parameter(torch.ones(count, device=device))] if count else []
        for name, layer in layers.items():
            parent, _, own = name.rpartition(".")
            made = Shifted(layer, shared, numbers[name], name, self.projection_seed)
            setattr(model.get_submodule(parent), own, made)
        attached = Attached(model, self)
        for name, parameter in zip(("theta", "scales"), shared, strict=False):
            attached.register_parameter(name, parameter)
        return attached
