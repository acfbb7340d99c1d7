"""One optimizer step: any objective, any number of pieces and ranks.

A loss is totals over examples; the counts they are divided by are summed over pieces and ranks before the first
backward pass. So 8 x 1, 2 x 4 and 1 x 8 give the same gradient.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from espalier.contracts import Adapter, Loss, Moment
from espalier.errors import RecipeError, RunError
from espalier.models.roles import Models
from espalier.train import distributed
from espalier.trees.forest import Forest


class Totals:
    """Sums over pieces: each term by its count, each metric by its examples."""

    def __init__(self) -> None:
        self.terms: dict[str, float] = {}
        self.metrics: dict[str, float] = {}
        self.examples = 0

    def add(self, loss: Loss, forest: Forest) -> None:
        """Add one piece."""
        for name, term in loss.terms.items():
            self.terms[name] = self.terms.get(name, 0.0) + term.weight * float(term.total.detach())
        for name, values in loss.metrics.items():
            self.metrics[name] = self.metrics.get(name, 0.0) + float(values.sum())
        self.examples += forest.examples

    def means(self, counts: dict[str, float]) -> dict[str, float]:
        """Everything per its count over all ranks; `loss` is the sum of the weighted terms."""
        summed = {name: distributed.sum_over_ranks(total) / counts[name] for name, total in self.terms.items()}
        examples = max(1.0, distributed.sum_over_ranks(self.examples))
        found = {"loss": sum(summed.values())}
        found |= {name: value for name, value in summed.items() if len(summed) > 1 and name != "loss"}
        return found | {name: distributed.sum_over_ranks(total) / examples for name, total in self.metrics.items()}


def optimize(
    objective: Any,
    models: Models,
    forest: Forest,
    optimizer: torch.optim.Optimizer,
    *,
    max_tokens: int | None = None,
    max_norm: float = 1.0,
    adapter: Adapter | None = None,
    moment: Moment | None = None,
) -> dict[str, float]:
    """One optimizer step on a prepared batch, in as many pieces as memory asks for, the same number on every rank.

    Args:
        objective: anything with `loss(models, piece)`.
        models: the roles it declared.
        forest: the batch; its counts are known.
        optimizer: torch's contract; one with `fused = True` gets a single piece, and its `backward` is called.
        max_tokens: tokens computed at once.
        max_norm: gradients are clipped to this norm; 0 for none.
        adapter: whose hooks are called.
        moment: what they are told; without it none is called.

    Returns:
        The loss, the metrics' means and the gradient norm, over all ranks.

    Raises:
        RunError: the loss or the gradient is not a finite number; no weight has changed.
    """
    counts = {name: distributed.sum_over_ranks(count) or 1.0 for name, count in forest.counts.items()}
    fused = getattr(optimizer, "fused", False) is True
    if fused and adapter is not None and type(adapter).after_backward is not Adapter.after_backward:
        raise RecipeError("this adapter looks at gradients, and this optimizer keeps none: give optimizers/adamw.")
    shared = models.policy.inner.layout == "trees"
    own = 1 if fused else len(forest.pieces(max_tokens, shared=shared))
    pieces = forest.split(None if fused else max_tokens, pieces=distributed.most_over_ranks(own), shared=shared)
    model, adapter = models.policy.inner.model, adapter if moment is not None else None
    if adapter is not None and moment is not None:
        adapter.before_step(model, moment)
    penalty = adapter.penalty(model) if adapter is not None else None
    totals, norm = Totals(), 0.0
    for i, piece in enumerate(pieces):
        with distributed.no_sync(models.policy.engine, last=i == len(pieces) - 1):
            loss = objective.loss(models, piece)
            value = sum(term.weight * term.total / counts[name] for name, term in loss.terms.items())
            value = value * distributed.world_size()  # DDP and FSDP2 average over ranks; this makes it the sum
            value = value if penalty is None or i else value + penalty
            if not fused:
                value.backward()
            elif math.isfinite(float(value.detach())):
                norm = optimizer.backward(value, max_norm)  # type: ignore[attr-defined]
        totals.add(loss, piece)
    report = totals.means(counts)
    if penalty is not None:
        added = float(penalty.detach())
        report |= {"loss": report["loss"] + added, "penalty": added}
    if not fused:
        norm = clip([p for group in optimizer.param_groups for p in group["params"]], max_norm)
    if not math.isfinite(report["loss"]) or not math.isfinite(norm):
        optimizer.zero_grad(set_to_none=True)
        raise RunError(_not_finite(objective, models, pieces, report["loss"]))
    optimizer.step()
    if adapter is not None and moment is not None:
        adapter.after_backward(model, moment)
    optimizer.zero_grad(set_to_none=True)
    return report | {"grad_norm": norm}


def clip(parameters: Sequence[Tensor], max_norm: float) -> float:
    """Clip gradients to a norm and return the norm they had."""
    with_grad = [p for p in parameters if p.grad is not None]
    norm: Any = torch.nn.utils.clip_grad_norm_(with_grad, max_norm or math.inf)
    return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)


def _not_finite(objective: Any, models: Models, pieces: Sequence[Forest], loss: float) -> str:
    return (
        f"the loss became {loss} on a batch of {sum(p.examples for p in pieces)} examples; no weight was changed by it."
        " Lower the learning rate, or look for weights that are not finite or overflow (dtype = float32 tells)."
    )
