"""LoRA: low-rank adaptation (Hu et al., 2021), arXiv:2106.09685, through PEFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from torch import nn

from espalier.catalogue import method
from espalier.errors import RecipeError
from espalier.models.heads import is_scalar
from espalier.models.load import quietly


@method(paper="arXiv:2106.09685")
@dataclass(frozen=True)
class LoRA:
    """Train a low-rank update of each linear layer: h = W x + (alpha / rank) B A x, with B zero at the start.

    Departs from the paper: all linear layers but the head instead of the query and value projections, rank 16 instead
    of 4 or 8 (Schulman et al., 2025, "LoRA Without Regret", find attention alone clearly worse).
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ()  # module names; empty means every linear layer but the output head

    def __post_init__(self) -> None:
        """Refuse a rank below one."""
        if self.rank < 1:
            raise RecipeError(f"adapters/lora: rank must be at least 1, not {self.rank}.")

    def attach(self, model: nn.Module) -> nn.Module:
        """Wrap the model with PEFT; trained weights are float32 whatever the base has."""
        from peft import LoraConfig, get_peft_model

        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]  # PEFT divides by the rank and takes any number
            lora_dropout=self.dropout,
            target_modules=list(self.targets) or "all-linear",
            task_type="SEQ_CLS" if is_scalar(model) else "CAUSAL_LM",  # a scalar head is trained beside the adapter
        )
        with quietly():
            attached: nn.Module = get_peft_model(cast("Any", model), config, autocast_adapter_dtype=True)
        return attached
