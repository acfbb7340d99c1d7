"""Attention over a forest: a token sees its own node up to itself, and its node's ancestors; nothing else.

Registered through transformers' public attention interface, so no model code is edited. This is the portable backend:
explicit matrix products in blocks of queries. A block's keys are its ancestors and its own node, in path order, so a
key's column *is* its position within the path, and sliding windows are exact. Probabilities are computed again in the
backward pass; nothing of the size of a score matrix is kept.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers.masking_utils import AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface

from espalier.trees.layout import Layout

NAME = "espalier_forest"
BLOCK = 256  # queries per block: causal work beyond a block's end is never done
# Shapes of forests hardly ever repeat: oneDNN and torch would keep hundreds of MB of kernels compiled for them.
# One piece of short rows needs more than 64, the same in each layer: dropped too early, each layer compiles its own.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
os.environ.setdefault("LRU_CACHE_CAPACITY", "1")
# Arguments models hand over that change nothing here; any other that is set is refused.
HARMLESS = {
    "position_ids", "cache_position", "use_cache", "output_attentions", "output_hidden_states", "return_dict",
    "position_embeddings", "past_key_values", "num_items_in_batch", "layer_idx", "is_causal", "cu_seq_lens_q",
    "output_router_logits", "cache_params",
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """Queries [begin, end) of the stream and the runs of the stream that are their keys, in path order."""

    begin: int
    end: int
    runs: tuple[tuple[int, int], ...]
    offset: int  # path position of the first key

    @property
    def keys(self) -> int:
        """How many keys the block has."""
        return sum(b - a for a, b in self.runs)


def blocks(layout: Layout, window: int | None = None, size: int = BLOCK) -> list[Block]:
    """The work of one attention layer: every query once, with the keys its window can reach."""
    found = []
    for n, node in enumerate(layout.nodes):
        start, length = layout.starts[n], len(node.ids)
        above = [(layout.starts[a], layout.starts[a] + len(layout.nodes[a].ids)) for a in layout.ancestors[n]]
        for begin in range(0, length, size):
            end = min(begin + size, length)
            reach = max(0, node.start + begin - window + 1) if window else 0
            runs = _from([*above, (start, start + end)], reach)
            found.append(Block(start + begin, start + end, runs, reach))
    return found


def _from(runs: list[tuple[int, int]], skip: int) -> tuple[tuple[int, int], ...]:
    """The runs without their first `skip` positions, neighbours in the stream joined."""
    kept: list[tuple[int, int]] = []
    for begin, end in runs:
        cut = min(skip, end - begin)
        skip -= cut
        if begin + cut == end:
            continue
        if kept and kept[-1][1] == begin + cut:
            kept[-1] = (kept[-1][0], end)
        else:
            kept.append((begin + cut, end))
    return tuple(kept)


def _take(x: Tensor, runs: tuple[tuple[int, int], ...]) -> Tensor:
    """Columns of [heads, N, D] in these runs; a view where they are one."""
    return x[:, runs[0][0] : runs[0][1]] if len(runs) == 1 else torch.cat([x[:, a:b] for a, b in runs], 1)


def _add(x: Tensor, runs: tuple[tuple[int, int], ...], values: Tensor) -> None:
    """Add values to the columns of [heads, N, D] in these runs, in place."""
    at = 0
    for a, b in runs:
        x[:, a:b] += values[:, at : at + b - a]
        at += b - a


@dataclass(frozen=True)
class Rule:
    """How a layer scores: scale, soft cap, window."""

    scaling: float
    softcap: float | None = None
    window: int | None = None


def _probabilities(
    q: Tensor, k: Tensor, block: Block, rule: Rule, sinks: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Softmax over a block's keys, float32 or wider, and the capped scores. q [kv, g*n, D], k [kv, m, D]; [kv, g*n, m].

    With sinks the probabilities of a row sum to less than one.
    """
    scores = torch.bmm(q, k.transpose(1, 2))
    scores = (scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores).mul_(rule.scaling)
    if rule.softcap is not None:
        scores.div_(rule.softcap).tanh_().mul_(rule.softcap)
    capped = scores.clone() if rule.softcap is not None else None
    n, m = block.end - block.begin, block.keys
    grid = scores.view(-1, n, m)  # [kv*g, n, m]
    grid[:, :, m - n :].add_(_after(max(n, BLOCK), grid.dtype, grid.device)[:n, :n])
    if rule.window is not None and m > rule.window:
        query = torch.arange(m - n, m, device=grid.device)[:, None]  # as columns
        grid.masked_fill_(torch.arange(m, device=grid.device)[None] <= query - rule.window, -torch.inf)
    if sinks is None:
        return torch.softmax(scores, -1), capped
    column = sinks.to(scores.dtype).view(scores.shape[0], -1, 1, 1).expand(-1, -1, n, 1).reshape(scores.shape[0], -1, 1)
    return torch.softmax(torch.cat([scores, column], -1), -1)[..., :-1], capped


@lru_cache(maxsize=16)
def _after(n: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """-inf above the diagonal, to be added: eight times as fast as masked_fill on a CPU. [n, n]"""
    return torch.full((n, n), -torch.inf, dtype=dtype, device=device).triu_(1)


class _ForestAttention(torch.autograd.Function):
    """q [heads, N, D], k and v [kv heads, N, D] -> [heads, N, D]; probabilities are recomputed in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, sinks: Tensor | None, work: list[Block], rule: Rule, dropout: float
    ) -> Tensor:
        ctx.save_for_backward(q, k, v, sinks)
        ctx.work, ctx.rule, ctx.dropout, ctx.kept = work, rule, dropout, []
        kv, out = k.shape[0], q.new_empty(q.shape[1], q.shape[0], v.shape[2]).transpose(0, 1)  # as the caller wants it
        for block in work:
            queries = q[:, block.begin : block.end].reshape(kv, -1, q.shape[2])
            p, _ = _probabilities(queries, _take(k, block.runs), block, rule, sinks)
            if dropout:
                ctx.kept.append(torch.rand_like(p) >= dropout)
                p = p * ctx.kept[-1] / (1 - dropout)
            mixed = torch.bmm(p.to(v.dtype), _take(v, block.runs))
            out[:, block.begin : block.end] = mixed.view(q.shape[0], -1, v.shape[2])
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, sinks = ctx.saved_tensors
        rule: Rule = ctx.rule
        kv = k.shape[0]
        wide = torch.promote_types(q.dtype, torch.float32)  # keys of a long prompt sum over many blocks
        dq, dk, dv = torch.empty_like(q), torch.zeros_like(k, dtype=wide), torch.zeros_like(v, dtype=wide)
        dsinks = (
            torch.zeros_like(sinks, dtype=torch.promote_types(sinks.dtype, torch.float32))
            if sinks is not None
            else None
        )
        for i, block in enumerate(ctx.work):
            queries = q[:, block.begin : block.end].reshape(kv, -1, q.shape[2])
            out_grad = grad[:, block.begin : block.end].reshape(kv, -1, v.shape[2])
            keys, values = _take(k, block.runs), _take(v, block.runs)
            p, capped = _probabilities(queries, keys, block, rule, sinks)
            dp = torch.bmm(out_grad, values.transpose(1, 2)).to(p.dtype)
            scale = ctx.kept[i].to(p.dtype).div_(1 - ctx.dropout) if ctx.kept else None
            dropped = p if scale is None else p * scale
            dp = dp if scale is None else dp * scale
            _add(dv, block.runs, torch.bmm(dropped.to(v.dtype).transpose(1, 2), out_grad))
            if dsinks is not None:  # the sink's value is zero: its gradient is -p_sink * sum(p * dp)
                mean = (p * dp).sum(-1, keepdim=True)
                rest = (1 - p.sum(-1, keepdim=True)) * mean
                dsinks -= rest.view(kv, sinks.numel() // kv, -1).sum(-1).reshape(sinks.shape)
            ds: Tensor = torch.ops.aten._softmax_backward_data(dp, p, -1, p.dtype)
            if capped is not None and rule.softcap is not None:
                ds.mul_(1 - (capped / rule.softcap).square_())
            ds = ds.to(q.dtype)
            dq[:, block.begin : block.end] = torch.bmm(ds, keys).view(q.shape[0], -1, q.shape[2])
            _add(dk, block.runs, torch.bmm(ds.transpose(1, 2), queries))
        dq, dk, dv = dq.mul_(rule.scaling), dk.mul_(rule.scaling).to(k.dtype), dv.to(v.dtype)
        return dq, dk, dv, dsinks if dsinks is None else dsinks.to(sinks.dtype), None, None, None


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    forest: Layout | None = None,
    **rest: Any,
) -> tuple[Tensor, None]:
    """The attention function transformers calls. query [1, heads, N, D] -> [1, N, heads, D].

    Raises:
        ValueError: no forest arrived, or an argument this function does not implement; it never falls back.
    """
    layer = type(module).__name__
    if forest is None:
        raise ValueError(f"{layer} did not hand on the forest")
    strange = sorted(
        name for name, given in rest.items() if name not in HARMLESS and given is not None and given is not False
    )
    if strange or rest.get("is_causal") is False:
        raise ValueError(
            f"{layer} hands over {', '.join(strange) or 'is_causal=False'}, which this attention does not implement"
        )
    virtual = forest.prefix[0][0].shape[1] if forest.prefix else 0
    if virtual:
        query, key, value = _behind(forest.prefix[module.layer_idx], query, key, value)  # type: ignore[index]
    if attention_mask is not None or query.shape[0] != 1 or not query.shape[2] == key.shape[2] == forest.ids.numel():
        raise ValueError(f"{layer} hands over a mask, a batch or a cache, which this attention does not implement")
    rule = Rule(query.shape[-1] ** -0.5 if scaling is None else scaling, softcap, sliding_window)
    if query.is_cuda:
        from espalier.trees.flex import flex

        if dropout:
            raise ValueError(f"{layer} asks for attention dropout, which is not offered on CUDA; switch dropout off")
        out = flex(query, key, value, s_aux, forest, rule)
    else:
        work = forest.cached.get(rule.window)
        if work is None:
            work = forest.cached[rule.window] = blocks(forest, rule.window)
        q, k, v = query[0].to(value.dtype), key[0].to(value.dtype), value[0]  # rotary embeddings widen under autocast
        mixed: Tensor = _ForestAttention.apply(q, k, v, s_aux, work, rule, dropout)  # type: ignore[no-untyped-call]
        out = mixed[None]
    return out[:, :, virtual:].transpose(1, 2).contiguous(), None  # some models view it


def _behind(prefix: tuple[Tensor, Tensor], query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values behind a prefix of keys and values, whose own queries are nobody's."""
    nobody = query.new_zeros(*query.shape[:2], prefix[0].shape[1], query.shape[3])
    key, value = (torch.cat([own.to(x.dtype)[None], x], 2) for own, x in zip(prefix, (key, value), strict=True))
    return torch.cat([nobody, query], 2), key, value


def _no_mask(*_: Any, **__: Any) -> None:
    """The forest is the mask."""


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, _no_mask)
