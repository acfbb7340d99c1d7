"""DyLoRA: search-free low-rank adaptation (Valipour et al., 2022), arXiv:2210.07558."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from espalier.catalogue import method
from espalier.contracts import Moment
from espalier.errors import RecipeError
from espalier.models.adapters import LowRank


class Width:
    """The rank that is trained in this step, the same in all layers; None outside of steps: the whole."""

    def __init__(self, most: int) -> None:
        self.most, self.now = most, most
        self.stepping = False

    def narrow(self, layer: nn.Module, inputs: Any, output: Tensor) -> Tensor:
        """A x cut to its first b rows, times most / b: with PEFT's alpha / most that is alpha / b. [..., R]"""
        if not self.stepping:
            return output
        return pad(output[..., : self.now] * (self.most / self.now), (0, self.most - self.now))

    def only(self, dim: int) -> Any:
        """A hook that leaves the gradient of the b-th row (dim 0) or column (dim 1) alone."""

        def keep(gradient: Tensor) -> Tensor:
            index = torch.tensor([self.now - 1], device=gradient.device)
            return torch.zeros_like(gradient).index_copy(dim, index, gradient.index_select(dim, index))

        return keep


@method(paper="arXiv:2210.07558")
@dataclass(frozen=True)
class DyLoRA(LowRank):
    """Train all ranks at once: each step draws a rank b and trains the first b rows of A and columns of B.

    Relations: a LoRA whose first b rows and columns are a LoRA of rank b, for every b: train once, cut afterwards
    (`espalier.models.combine.cut_rank`). Saved, merged and served as LoRA; measured at the full rank while training.
    Departs from the paper: rank 16 and all linear layers but the head; with `frozen` other rows get no gradient, but an
    optimizer with momentum still moves them by what it remembers. The whole A x is computed and cut, as cheap here.
    """

    least: int = 1  # smallest rank that is drawn
    frozen: bool = False  # train row and column b alone, which is faster in the paper and a little worse

    shares: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse a range without a rank."""
        super().__post_init__()
        if not 1 <= self.least <= self.rank:
            raise RecipeError(f"adapters/dylora: least must be from 1 to rank = {self.rank}, not {self.least}.")

    def attach(self, model: nn.Module) -> nn.Module:
        """Wrap the model with PEFT, and have each layer's A x cut to the rank of the step."""
        wrapped, width = self.wrapped(model), Width(self.rank)
        wrapped.width = width  # type: ignore[assignment]
        layer: Any
        for layer in wrapped.modules():
            if not hasattr(layer, "lora_A"):
                continue
            down, up = layer.lora_A["default"], layer.lora_B["default"]
            down.register_forward_hook(width.narrow)
            if self.frozen:
                down.weight.register_hook(width.only(0))
                up.weight.register_hook(width.only(1))
        return wrapped

    def before_step(self, model: Any, moment: Moment) -> None:
        """Draw the rank of this step, the same on every rank of the machine and after a resume."""
        draw = torch.randint(self.least, self.rank + 1, (), generator=moment.generator)
        model.width.now, model.width.stepping = int(draw), True

    def after_backward(self, model: Any, moment: Moment) -> None:
        """Back to the whole."""
        model.width.stepping = False
