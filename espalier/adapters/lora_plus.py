"""LoRA+: another learning rate for B (Hayou et al., 2024), arXiv:2402.12354, through PEFT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import nn

from espalier.catalogue import method
from espalier.errors import RecipeError
from espalier.models.adapters import LowRank


@method(paper="arXiv:2402.12354")
@dataclass(frozen=True)
class LoRAPlus(LowRank):
    """Train LoRA's B with a higher learning rate than its A, so that both learn in wide models.

    Relations: LoRA with two groups of parameters; saved, merged and served as LoRA. The learning rate given is A's.
    Departs from the paper: all linear layers but the head and rank 16, as LoRA here; the paper has rank 8.
    """

    ratio: float = 16.0  # B's learning rate over A's; the paper advises about 2^4 and tunes A's

    rate: ClassVar[float] = 0.25  # A's: so that B's is four times LoRA's

    def __post_init__(self) -> None:
        """Refuse a ratio that is no factor."""
        super().__post_init__()
        if not self.ratio > 0:
            raise RecipeError(f"adapters/lora_plus: ratio must be above 0, not {self.ratio}.")

    def groups(self, named: Sequence[tuple[str, nn.Parameter]]) -> list[dict[str, Any]]:
        """A and everything else, then B."""
        up = [(name, p) for name, p in named if "lora_B" in name]
        rest = [(name, p) for name, p in named if "lora_B" not in name]
        return [{"params": rest}, {"params": up, "relative_lr": self.ratio}]
