"""8-bit Adam: block-wise quantized states (Dettmers et al., 2021), arXiv:2110.02861, through bitsandbytes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from espalier.catalogue import method
from espalier.errors import RecipeError


@method(paper="arXiv:2110.02861")
@dataclass(frozen=True)
class Adam8bit:
    """AdamW that keeps both moments in 8 bits, a quarter of their memory, each block of 256 with a scale of its own.

    Relations: AdamW up to the rounding of its state; parameters of fewer than 4,096 weights keep 32 bits. With `paged`
    (QLoRA, arXiv:2305.14314) a GPU that runs out of memory lends the state to the main memory meanwhile.
    Departs from the paper: embeddings keep their 8-bit state and get no layer norm; give AdamW where they are trained
    and the loss jumps.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    weight_decay: float = 0.0
    paged: bool = False  # CUDA only; a resumed run keeps in the GPU's memory what it had saved

    state_bytes: ClassVar[float] = 2.07  # kept per trained weight

    def build(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        """The optimizer of these groups of named parameters, each with its own `lr`.

        Raises:
            RecipeError: bitsandbytes is missing; pages are asked for where there is no GPU.
        """
        try:
            import bitsandbytes
        except ImportError:
            raise RecipeError("optimizers/adam8bit needs bitsandbytes: pip install 'espalier-lm[quant]'.") from None
        if self.paged and not torch.cuda.is_available():
            raise RecipeError("optimizers/adam8bit: paged needs a GPU with CUDA; leave it out.")
        optim: Any = bitsandbytes.optim
        kind = optim.PagedAdamW8bit if self.paged else optim.AdamW8bit
        made: torch.optim.Optimizer = kind(
            list(groups), betas=(self.beta1, self.beta2), eps=self.eps, weight_decay=self.weight_decay
        )
        return made
