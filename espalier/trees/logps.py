"""Log-probabilities of given tokens from hidden states, in tiles: full logits never exist.

    z = softcap(scale * (h W^T + b)),   log p(y) = z_y - logsumexp(z),   entropy = logsumexp(z) - sum(softmax(z) * z)

Logits are computed once: the forward pass also makes softmax(z) - onehot(y), which is -d log p / d z. A frozen head
turns each tile of it into d log p / d h at once; a trained head keeps it until the backward pass, in the compute dtype.
Where that is too much to keep, or other functionals are asked for, the backward pass computes each tile again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

TILE_BYTES = {"cpu": 16 << 20}  # of float32 logits: stays in the cache between the matrix product and the softmax
ELSEWHERE = 256 << 20  # where no cache is that large, and reading the weight once per tile is what costs
SMALLEST_TILE = 64  # tokens
KEPT_BYTES = 128 << 20  # of softmax(z) - onehot(y); more is computed again in the backward pass


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
Seen = Callable[[slice, int], Tensor]  # (which targets, V) -> [t, V]: which tokens stand before each of them


@dataclass(frozen=True)
class Contextual:
    """A functional that is also told what stands before each target: (logits [t, V], targets [t], seen [t, V])."""

    of: Callable[[Tensor, Tensor, Tensor], Tensor]


def entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """-sum p log p in nats, per token. [t, V] -> [t]"""
    logp = torch.log_softmax(logits, -1)
    return -(logp.exp() * logp).sum(-1)


def token_logps(
    hidden: Tensor,
    head: Head,
    targets: Tensor,
    *,
    functionals: Mapping[str, Functional | Contextual] | None = None,
    tile: int | None = None,
    compute: torch.dtype | None = None,
    seen: Seen | None = None,
) -> dict[str, Tensor]:
    """log p(target | hidden) per token, and any other per-token functional of the same logits.

    Args:
        hidden: the state that predicts each target. [T, H]
        head: the output head; gradients reach its weight and bias when they require one.
        targets: token ids. [T]
        functionals: further functions of a tile's logits, by name.
        tile: tokens per tile; by default as many as suit the device.
        compute: dtype of the matrix products; the hidden states' own by default. Sums are float32, or wider.
        seen: which tokens stand before the targets, for contextual functionals.

    Returns:
        "logps" [T] and one entry per functional.
    """
    functionals = dict(functionals or {})
    tile = tile or max(SMALLEST_TILE, TILE_BYTES.get(hidden.device.type, ELSEWHERE) // (4 * head.weight.shape[0]))
    how = _How(head, tuple(functionals.values()), tile, compute or hidden.dtype, torch.is_grad_enabled(), seen)
    found = _Tiles.apply(hidden, head.weight, head.bias, targets, how)  # type: ignore[no-untyped-call]  # torch's own
    return dict(zip(["logps", *functionals], found, strict=True))


@dataclass(frozen=True)
class _How:
    """What does not change within one call."""

    head: Head
    functionals: tuple[Functional | Contextual, ...]
    tile: int
    compute: torch.dtype
    differentiable: bool
    seen: Seen | None = None

    def tiles(self, hidden: Tensor, cast: Tensor, targets: Tensor) -> Iterator[tuple[slice, Tensor, Tensor, Tensor]]:
        """Each tile's place, logits [t, V], softmax [t, V] and targets [t]."""
        for a in range(0, len(targets), self.tile):
            part = slice(a, a + self.tile)
            z = self.head._capped(self.head._raw(hidden[part].to(self.compute), cast))
            yield part, z, torch.softmax(z, -1), targets[part]

    def more(self, part: slice, z: Tensor, targets: Tensor) -> list[Tensor]:
        """The functionals of one tile."""
        found = []
        for functional in self.functionals:
            if isinstance(functional, Contextual):
                if self.seen is None:
                    raise ValueError("a contextual functional needs `seen`: which tokens stand before each target")
                found.append(functional.of(z, targets, self.seen(part, z.shape[1])))
            else:
                found.append(functional(z, targets))
        return found

    def raw(self, slope: Tensor, z: Tensor) -> Tensor:
        """A gradient in the logits, back through cap and scale to the matrix product; overwrites it."""
        if self.head.softcap is not None:
            slope.mul_(1 - (z / self.head.softcap).square_())
        return slope if self.head.scale == 1.0 else slope.mul_(self.head.scale)


class _Tiles(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, how: _How
    ) -> tuple[Tensor, ...]:
        frozen = not any(ctx.needs_input_grad[1:3])
        small = frozen or len(targets) * len(weight) * how.compute.itemsize <= KEPT_BYTES
        once = how.differentiable and any(ctx.needs_input_grad) and small and not how.functionals
        cast = weight.to(how.compute)
        width = hidden.shape[1] if frozen else len(weight)
        slope = hidden.new_empty(len(targets), width, dtype=how.compute) if once else None
        found: list[list[Tensor]] = []
        for part, z, p, y in how.tiles(hidden, cast, targets):
            total = z.amax(-1) - p.amax(-1).log_()  # exact, and a quarter of the time of logsumexp
            logp = z.gather(1, y[:, None])[:, 0] - total
            found.append([logp, *how.more(part, z, y)])
            if slope is not None:
                dz = how.raw(_minus_onehot(p, y), z)
                slope[part] = torch.mm(dz.to(how.compute), cast) if frozen else dz
        ctx.save_for_backward(hidden, weight, bias, targets, slope, cast if slope is not None and not frozen else None)
        ctx.how, ctx.frozen = how, frozen
        if not found:
            wide = torch.promote_types(how.compute, torch.float32)
            return tuple(hidden.new_zeros(0, dtype=wide) for _ in range(1 + len(how.functionals)))
        return tuple(torch.cat(column) for column in zip(*found, strict=True))

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *more: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, _, slope, cast = ctx.saved_tensors
        how: _How = ctx.how
        down = -grad[:, None]  # the slopes are of -log p
        if slope is None:
            return *_again(ctx, grad, more), None, None
        if ctx.frozen:
            return (slope * down.to(slope.dtype)).to(hidden.dtype), None, None, None, None
        dh = torch.mm(slope, cast).to(hidden.dtype).mul_(down)
        dw = torch.empty_like(weight) if ctx.needs_input_grad[1] else None
        if dw is not None:
            scaled = (hidden * down).to(how.compute)
            for a in range(0, len(dw), 8192):  # in parts, for the product may have another dtype
                dw[a : a + 8192] = torch.mm(slope[:, a : a + 8192].t(), scaled)
        db = torch.mv(slope.t(), down[:, 0].to(how.compute)).to(bias.dtype) if ctx.needs_input_grad[2] else None
        return dh, dw, db, None, None


def _again(ctx: Any, grad: Tensor, more: tuple[Tensor, ...]) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Gradients of hidden states, weight and bias, each tile of logits computed a second time."""
    hidden, weight, bias, targets, *_ = ctx.saved_tensors
    how: _How = ctx.how
    cast = weight.to(how.compute)
    dh = torch.empty_like(hidden)
    wide = torch.promote_types(how.compute, torch.float32)
    dw = torch.zeros_like(weight, dtype=wide) if weight.requires_grad else None
    db = torch.zeros_like(bias, dtype=grad.dtype) if bias is not None and bias.requires_grad else None
    for part, z, p, y in how.tiles(hidden, cast, targets):
        extra = _through(how, part, z, y, [g[part] for g in more])
        dz = _minus_onehot(p, y).mul_(-grad[part, None])
        dz = how.raw(dz if extra is None else dz.add_(extra), z)
        if db is not None:
            db += dz.sum(0)
        dz = dz.to(how.compute)
        dh[part] = torch.mm(dz, cast)
        if dw is not None:
            dw += torch.mm(dz.t(), hidden[part].to(how.compute))
    return dh, dw if dw is None else dw.to(weight.dtype), db if db is None else db.to(bias.dtype)


def _minus_onehot(p: Tensor, targets: Tensor) -> Tensor:
    """softmax(z) - onehot(y), in place."""
    return p.scatter_add_(1, targets[:, None], torch.full_like(targets[:, None], -1, dtype=p.dtype))


def _through(how: _How, part: slice, z: Tensor, targets: Tensor, grads: list[Tensor]) -> Tensor | None:
    """Gradient of the functionals in the logits of one tile."""
    if not how.functionals:
        return None
    with torch.enable_grad():
        leaf = z.detach().requires_grad_()
        values = how.more(part, leaf, targets)
        kept = [(v, g) for v, g in zip(values, grads, strict=True) if v.requires_grad]
        return torch.autograd.grad([v for v, _ in kept], leaf, [g for _, g in kept])[0] if kept else None
