"""Attention over a forest on CUDA: FlexAttention, with a mask that needs one number per token.

Nodes stand depth first, so what may see a token is a run of the stream: from the token itself to the end of the subtree
of its node. A window counts positions within the path.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, BlockMask, flex_attention

from espalier.trees.attention import Rule
from espalier.trees.layout import Layout

BLOCK = 128
Mask = Callable[[Any, Any, Tensor, Tensor], Tensor]


def flex(query: Tensor, key: Tensor, value: Tensor, s_aux: Tensor | None, forest: Layout, rule: Rule) -> Tensor:
    """A token sees its own node up to itself, and its ancestors. [1, heads, N, D] -> [1, heads, N, D]

    Args:
        query: [1, heads, N, D]
        key: [1, kv heads, N, D]
        value: the same; its dtype is that of the products.
        s_aux: attention sinks: a score per head that takes probability and gives nothing. [heads]
        forest: the stream; the block mask is kept there, one per window.
        rule: scale, soft cap, window.
    """
    length = query.shape[2]
    mask = forest.cached.get(("flex", rule.window))
    if mask is None:
        mask = forest.cached["flex", rule.window] = block_mask(forest, rule.window)
    # FlexAttention wants whole blocks: the stream is continued by tokens that see only themselves.
    q, k, v = (F.pad(x.to(value.dtype), (0, 0, 0, -length % BLOCK)) for x in (query, key, value))
    attention = _compiled() if query.is_cuda else flex_attention
    options: dict[str, Any] = {"block_mask": mask, "scale": rule.scaling, "enable_gqa": q.shape[1] != k.shape[1]}
    if rule.softcap is not None:
        options["score_mod"] = _capped(rule.softcap, q.device)
    if s_aux is None:
        found: Tensor = attention(q, k, v, **options)
    else:
        out, aux = attention(q, k, v, **options, return_aux=AuxRequest(lse=True))
        share = torch.sigmoid(aux.lse - s_aux.to(aux.lse.dtype)[None, :, None])  # of all but the sink
        found = out * share[..., None].to(out.dtype)
    return found[:, :, :length]


@lru_cache(maxsize=1)
def _compiled() -> Any:
    limit = torch._dynamo.config.recompile_limit
    torch._dynamo.config.recompile_limit = max(limit, 32)  # with and without window, cap, sinks, gradient; dtypes
    return torch.compile(flex_attention, dynamic=True, fullgraph=True)


@lru_cache
def _capped(softcap: float, device: torch.device) -> Callable[..., Tensor]:
    cap = torch.tensor(softcap, device=device)  # a plain number would be compiled as an input that kernels cannot take

    def score_mod(score: Tensor, batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return torch.tanh(score / cap) * cap

    return score_mod


def visible(forest: Layout, window: int | None) -> Mask:
    """Whether the token at one place of the stream, continued to whole blocks, sees the token at another."""
    tokens = forest.ids.numel()
    ends = [start + len(node.ids) for start, node in zip(forest.starts, forest.nodes, strict=True)]
    for n in reversed(range(len(ends))):  # a node's subtree ends where the last of its children's does
        parent = forest.nodes[n].parent
        if parent >= 0:
            ends[parent] = max(ends[parent], ends[n])
    more = torch.arange(tokens, tokens + -tokens % BLOCK, device=forest.ids.device)
    end = torch.cat([torch.tensor(ends, device=forest.ids.device)[forest.node_of], more + 1])
    position = torch.cat([forest.positions, more])
    reach = torch.tensor(window or 0, device=forest.ids.device)

    def mask_mod(batch: Any, head: Any, query: Tensor, key: Tensor) -> Tensor:
        seen = (key <= query) & (query < end[key])
        return seen if window is None else seen & (position[query] - position[key] < reach)

    return mask_mod


def block_mask(forest: Layout, window: int | None) -> BlockMask:
    """The mask by blocks, worked out a row of blocks at a time: the whole of it may be larger than the model."""
    mask_mod = visible(forest, window)
    size = forest.ids.numel() + -forest.ids.numel() % BLOCK
    keys = torch.arange(size, device=forest.ids.device)
    some, whole = [], []
    for queries in keys.split(BLOCK):
        tiles = mask_mod(None, None, queries[:, None], keys[None]).view(BLOCK, -1, BLOCK)
        some.append(tiles.any(2).any(0))
        whole.append(tiles.all(2).all(0))
    full = torch.stack(whole)
    partial = torch.stack(some) & ~full
    return BlockMask.from_kv_blocks(
        *_listed(partial), *_listed(full), BLOCK_SIZE=BLOCK, mask_mod=mask_mod, seq_lengths=(size, size)
    )


def _listed(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """How many blocks of each row are set, and which, those first. [rows, columns]"""
    order = torch.argsort(blocks.int(), dim=1, descending=True, stable=True)
    return blocks.sum(1)[None, None].int(), order[None, None].int()
