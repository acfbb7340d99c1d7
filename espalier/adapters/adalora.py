"""AdaLoRA: adaptive budget allocation (Zhang et al., 2023), arXiv:2303.10512, through PEFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from espalier.catalogue import method
from espalier.contracts import Adapter, Moment
from espalier.errors import RecipeError
from espalier.models.adapters import Kept, chosen, require_one, require_rank, wrap


def orthogonality(matrix: Tensor) -> Tensor:
    """|| M M^T - I ||_F of a matrix whose rows should be orthonormal. [R, N] -> []"""
    away = matrix @ matrix.T - torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    found: Tensor = torch.linalg.matrix_norm(away)
    return found


@method(paper="arXiv:2303.10512")
@dataclass(frozen=True)
class AdaLoRA(Adapter):
    """Train updates P diag(e) Q and give each layer the rank it needs: the least important e are pruned on the way.

    Relations: LoRA gives every layer the same rank; here the ranks' mean falls from `initial_rank` to `rank` along a
    cubic curve. Merged like LoRA; servers do not load it as an adapter.
    Departs from the paper: the penalty is the mean of || P^T P - I || and || Q Q^T - I || over the matrices, not
    squared, as in its authors' code and in PEFT; `every` is 10 instead of 100 steps, for runs of some hundred steps.
    """

    rank: int = 8  # mean rank in the end
    initial_rank: int = 12  # of every layer
    alpha: float = 32.0
    dropout: float = 0.0
    penalty_weight: float = 0.5  # gamma
    warmup_share: float = 0.1  # of the steps, before pruning begins
    final_share: float = 0.5  # of the steps, in which the ranks stay as they are
    every: int = 10  # steps between prunings
    smoothing: float = 0.85  # beta1 and beta2, of sensitivity and uncertainty
    targets: tuple[str, ...] = ()  # module names; empty means every linear layer but the output head

    shares: ClassVar[bool] = False
    rate: ClassVar[float] = 10.0  # docs/adapters.md has the sweep

    def __post_init__(self) -> None:
        """Refuse a budget that cannot fall."""
        require_one(self, "rank", "every")
        if self.initial_rank <= self.rank:
            raise RecipeError(f"adapters/adalora: initial_rank must be above rank = {self.rank}.")
        if min(self.warmup_share, self.final_share) < 0 or self.warmup_share + self.final_share >= 1:
            raise RecipeError(
                "adapters/adalora: warmup_share and final_share must be at least 0 and sum to less than 1."
            )

    def attach(self, model: nn.Module) -> nn.Module:
        """Wrap the model with PEFT; what is known of each weight's importance is kept beside it."""
        from peft import AdaLoraConfig

        require_rank(chosen(model, self.targets, self), self.initial_rank, self)
        config = AdaLoraConfig(
            init_r=self.initial_rank,
            target_r=self.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]  # any number, as in LoRA
            lora_dropout=self.dropout,
            orth_reg_weight=self.penalty_weight,
            beta1=self.smoothing,
            beta2=self.smoothing,
            deltaT=self.every,
            total_step=1,  # set before the first step
            target_modules=list(self.targets) or "all-linear",
        )
        wrapped = wrap(model, config)
        size = sum(p.numel() for _, p in _weights(wrapped))
        wrapped.kept = Kept(sensitivity=size, uncertainty=size)
        return wrapped

    def before_step(self, model: Any, moment: Moment) -> None:
        """Tell PEFT how long the run is and, when pruning is over, which ranks are left."""
        config = model.peft_config[model.active_adapter]
        config.total_step = max(2, moment.steps)  # PEFT prunes for good at a step whose importance it does not look at
        config.tinit, final = (int(share * moment.steps) for share in (self.warmup_share, self.final_share))
        config.tfinal = min(final, config.total_step - 2)
        if moment.number + 1 > config.total_step - config.tfinal:
            config.rank_pattern = {name: (p != 0).view(-1).tolist() for name, p in _weights(model) if "lora_E" in name}

    def penalty(self, model: nn.Module) -> Tensor:
        """How far P and Q are from orthogonal."""
        found = [orthogonality(p if "lora_A" in name else p.T) for name, p in _weights(model) if "lora_E" not in name]
        return self.penalty_weight * torch.stack(found).mean()

    def after_backward(self, model: Any, moment: Moment) -> None:
        """Follow each weight's importance, and prune to the budget of this step."""
        named, kept, allocator = _weights(model), model.kept, model.base_model.rankallocator
        sizes = [p.numel() for _, p in named]
        for values, where in ((kept.sensitivity, allocator.exp_avg_ipt), (kept.uncertainty, allocator.exp_avg_unc)):
            parts = zip(named, values.split(sizes), strict=True)
            where.update({name: part.view_as(p).clone() for (name, p), part in parts})
        allocator.ipt.update({name: p for name, p in named})  # any value: PEFT starts over where there is none
        model.base_model.update_and_allocate(moment.number + 1)
        for values, where in ((kept.sensitivity, allocator.exp_avg_ipt), (kept.uncertainty, allocator.exp_avg_unc)):
            if where:  # PEFT forgets them when pruning is over
                values.copy_(torch.cat([where[name].reshape(-1) for name, _ in named]))


def _weights(model: Any) -> list[tuple[str, nn.Parameter]]:
    """P (lora_B), e (lora_E) and Q (lora_A) of the adapter in use, by the names that PEFT's allocator knows."""
    name = f".{model.active_adapter}"
    inner = model.base_model.model
    return [(key, p) for key, p in inner.named_parameters() if "lora_" in key and key.endswith(name)]
