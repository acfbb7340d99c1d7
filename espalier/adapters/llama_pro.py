"""LLaMA Pro: block expansion (Wu et al., 2024), arXiv:2401.02415."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from espalier.catalogue import method
from espalier.contracts import Adapter
from espalier.errors import ModelError
from espalier.models.adapters import require_one
from espalier.models.added import Attached
from espalier.models.blocks import expand, layers_of, skip
from espalier.models.heads import base_of


def places(layers: int, every: int) -> list[int]:
    """Section 3.2: the last layer of each group of `every`; the last group may be shorter."""
    return [*range(every - 1, layers, every), *([layers - 1] if layers % every else [])]


@method(paper="arXiv:2401.02415")
@dataclass(frozen=True)
class LlamaPro(Adapter):
    """Copy some layers, let the copies change nothing at first, and train only them.

    Relations: what the model knows stays in the layers it had; adds a share 1 / `every` of its layers to size and time.
    Saved as an ordinary model with more layers, which everything loads.
    Departs from the paper: for tuning on instructions directly; the paper trains the new layers on a corpus first and
    then all of them on instructions.
    """

    every: int = 4  # layers per new one: 32 become 40

    shares: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse groups of none."""
        require_one(self, "every")

    def attach(self, model: nn.Module) -> nn.Module:
        """Expand the model in place.

        Raises:
            ModelError: the new layers change what the model answers.
        """
        with torch.no_grad():
            before = _answer(model)
            new = expand(model, places(len(layers_of(model)), self.every))
            if not torch.allclose(_answer(model), before, rtol=1e-3, atol=1e-3):
                raise ModelError(
                    f"{type(base_of(model)).__name__}: copied layers change its answers; give another adapter."
                )
        model.requires_grad_(False)
        for block in new:
            block.float().requires_grad_(True)
            block.acts = True  # type: ignore[assignment]
            block.register_forward_hook(skip)
        return Attached(model, self, whole=True)


def _answer(model: Any) -> torch.Tensor:
    ids = torch.arange(3, 7, device=next(model.parameters()).device)[None]
    hidden: torch.Tensor = base_of(model).base_model(input_ids=ids, use_cache=False).last_hidden_state
    return hidden.float()
