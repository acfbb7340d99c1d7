"""Log-probabilities of given tokens from hidden states, in tiles: full logits never exist.

    z = softcap(scale * (h W^T + b)),   log p(y) = z_y - logsumexp(z),   entropy = logsumexp(z) - sum(softmax(z) * z)

The forward pass keeps nothing of a tile. Where the head is frozen, d log p / d h is made there too, and the logits are
computed once; otherwise the backward pass computes each tile again and forms its gradients in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

TILE_BYTES = 64 << 20  # of float32 logits: small enough to stay warm, large enough for full matrix-product speed


@dataclass(frozen=True)
class Head:
    """The output head as it acts: effective weight [V, H], bias [V], logit scale, soft cap."""

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    softcap: float | None = None

    def logits(self, hidden: Tensor) -> Tensor:
        """[T, H] -> [T, V], float32 or wider. Not for long inputs: this is what tiles are for."""
        return self._capped(self._raw(hidden, self.weight.to(hidden.dtype)))

    def _raw(self, hidden: Tensor, weight: Tensor) -> Tensor:
        z = torch.mm(hidden, weight.t())
        z = z.float() if z.dtype in (torch.bfloat16, torch.float16) else z
        if self.bias is not None:
            z = z + self.bias.to(z.dtype)
        return z if self.scale == 1.0 else z.mul_(self.scale) if not z.requires_grad else z * self.scale

    def _capped(self, z: Tensor) -> Tensor:
        return z if self.softcap is None else torch.tanh(z / self.softcap) * self.softcap


Functional = Callable[[Tensor, Tensor], Tensor]  # (logits [t, V], targets [t]) -> [t] or [t, k], differentiable


def entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """-sum p log p in nats, per token. [t, V] -> [t]"""
    logp = torch.log_softmax(logits, -1)
    return -(logp.exp() * logp).sum(-1)


def token_logps(
    hidden: Tensor,
    head: Head,
    targets: Tensor,
    *,
    functionals: Mapping[str, Functional] | None = None,
    tile: int | None = None,
    compute: torch.dtype | None = None,
) -> dict[str, Tensor]:
    """log p(target | hidden) per token, and any other per-token functional of the same logits.

    Args:
        hidden: the state that predicts each target. [T, H]
        head: the output head; gradients reach its weight and bias when they require one.
        targets: token ids. [T]
        functionals: further functions of a tile's logits, by name.
        tile: tokens per tile; by default what fits TILE_BYTES.
        compute: dtype of the matrix products; the hidden states' own by default. Sums are float32, or wider.

    Returns:
        "logps" [T] and one entry per functional.
    """
    functionals = dict(functionals or {})
    tile = tile or max(16, TILE_BYTES // (4 * head.weight.shape[0]))
    compute = compute or hidden.dtype
    found = _Tiles.apply(hidden, head.weight, head.bias, head, targets, tuple(functionals.values()), tile, compute)
    return dict(zip(["logps", *functionals], found, strict=True))


class _Tiles(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        head: Head,
        targets: Tensor,
        functionals: tuple[Functional, ...],
        tile: int,
        compute: torch.dtype,
    ) -> tuple[Tensor, ...]:
        frozen = not weight.requires_grad and (bias is None or not bias.requires_grad) and not functionals
        slope = torch.empty_like(hidden, dtype=compute) if frozen and hidden.requires_grad else None
        cast = weight.to(compute)
        found: list[list[Tensor]] = []
        for a in range(0, len(targets), tile):
            h, y = hidden[a : a + tile].to(compute), targets[a : a + tile]
            z = head._capped(head._raw(h, cast))
            total = z.logsumexp(-1, keepdim=True)
            logp = (z.gather(1, y[:, None]) - total)[:, 0]
            found.append([logp, *(f(z, y) for f in functionals)])
            if slope is not None:
                slope[a : a + tile] = torch.mm(_slope(z, total, y, head).to(compute), cast)
        ctx.save_for_backward(hidden, weight, bias, targets, slope)
        ctx.head, ctx.functionals, ctx.tile, ctx.compute = head, functionals, tile, compute
        if not found:
            wide = torch.promote_types(compute, torch.float32)
            return tuple(hidden.new_zeros(0, dtype=wide) for _ in range(1 + len(functionals)))
        return tuple(torch.cat(column) for column in zip(*found, strict=True))

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *more: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, targets, slope = ctx.saved_tensors
        head: Head = ctx.head
        if slope is not None:
            return ((slope * grad[:, None].to(slope.dtype)).to(hidden.dtype), *[None] * 7)
        cast = weight.to(ctx.compute)
        dh = torch.empty_like(hidden)
        dw = torch.zeros_like(weight, dtype=torch.promote_types(ctx.compute, torch.float32)) if weight.requires_grad else None
        db = torch.zeros_like(bias, dtype=grad.dtype) if bias is not None and bias.requires_grad else None
        for a in range(0, len(targets), ctx.tile):
            part = slice(a, a + ctx.tile)
            h, y = hidden[part].to(ctx.compute), targets[part]
            z = head._capped(head._raw(h, cast))
            extra = _through(ctx.functionals, z, y, [g[part] for g in more])
            dz = _slope(z, z.logsumexp(-1, keepdim=True), y, head, grad[part, None], extra)
            if db is not None:
                db += dz.sum(0) / head.scale
            dz = dz.to(ctx.compute)
            dh[part] = torch.mm(dz, cast)
            if dw is not None:
                dw += torch.mm(dz.t(), h)
        return dh, None if dw is None else dw.to(weight.dtype), None if db is None else db.to(bias.dtype), *[None] * 5


def _slope(
    z: Tensor, total: Tensor, targets: Tensor, head: Head, grad: Tensor | None = None, extra: Tensor | None = None
) -> Tensor:
    """(onehot - softmax) * grad + extra, back through cap and scale to the raw logits; overwrites z."""
    cap = 1 - (z / head.softcap).square() if head.softcap is not None else None
    dz = z.sub_(total).exp_().neg_()
    dz.scatter_add_(1, targets[:, None], torch.ones_like(targets[:, None], dtype=dz.dtype))
    dz = dz if grad is None else dz.mul_(grad)
    dz = dz if extra is None else dz.add_(extra)
    dz = dz if cap is None else dz.mul_(cap)
    return dz if head.scale == 1.0 else dz.mul_(head.scale)


def _through(functionals: tuple[Functional, ...], z: Tensor, targets: Tensor, grads: list[Tensor]) -> Tensor | None:
    """Gradient of the functionals in the logits of one tile."""
    if not functionals:
        return None
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        values = [f(leaf, targets) for f in functionals]
        kept = [(v, g) for v, g in zip(values, grads, strict=True) if v.requires_grad]
        return torch.autograd.grad([v for v, _ in kept], leaf, [g for _, g in kept])[0] if kept else None
