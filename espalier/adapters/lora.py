"""LoRA: low-rank adaptation (Hu et al., 2021), arXiv:2106.09685, through PEFT."""

from __future__ import annotations

from dataclasses import dataclass

from espalier.catalogue import method
from espalier.models.adapters import LowRank


@method(paper="arXiv:2106.09685")
@dataclass(frozen=True)
class LoRA(LowRank):
    """Train a low-rank update of each linear layer: h = W x + (alpha / rank) B A x, with B zero at the start.

    Relations: rsLoRA divides by the square root of the rank, DoRA trains length and direction apart, LoRA+ gives B a
    higher learning rate; DyLoRA and AdaLoRA find the rank, VeRA trains two vectors in place of the matrices.
    Departs from the paper: all linear layers but the head instead of the query and value projections, rank 16 instead
    of 4 or 8 (Schulman et al., 2025, "LoRA Without Regret", find attention alone clearly worse).
    """
