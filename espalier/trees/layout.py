"""The flat stream of a forest: every token once, and where scored tokens, their sources and the ends stand in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espalier.trees.tree import Branch, Node


@dataclass
class Layout:
    """The flat stream of a forest: N tokens, nodes depth first, S scored tokens each standing once."""

    ids: Tensor  # [N]
    positions: Tensor  # [N] within the path
    nodes: list[Node]
    starts: list[int]  # [nodes] where each node begins in the stream
    ancestors: list[list[int]]  # [nodes] root first, without the node itself
    sources: Tensor  # [S] stream position whose next token is scored
    targets: Tensor  # [S] that token's id
    scored: Tensor  # [T] for each completion's counted token, its place among the scored
    last: Tensor  # [completions] stream position of each completion's last token
    node_of: Tensor  # [N]
    cached: dict[Any, Any] = field(default_factory=dict)  # what an attention backend works out once per window
    prefix: tuple[tuple[Tensor, Tensor], ...] = ()  # keys and values of the first node, by layer: it has no tokens

    def after(self, length: int) -> Layout:
        """The stream behind so many virtual tokens: one node that every path runs through, its ids are no tokens."""
        if ("after", length) not in self.cached:
            first = Node(np.zeros(length, np.int32), -1, 0)
            self.cached["after", length] = replace(
                self,
                ids=torch.cat([self.ids.new_zeros(length), self.ids]),
                positions=torch.cat([torch.arange(length, device=self.ids.device), self.positions + length]),
                nodes=[first, *(Node(node.ids, node.parent + 1, node.start + length) for node in self.nodes)],
                starts=[0, *(start + length for start in self.starts)],
                ancestors=[[], *([0, *(n + 1 for n in above)] for above in self.ancestors)],
                sources=self.sources + length,
                last=self.last + length,
                node_of=torch.cat([self.node_of.new_zeros(length), self.node_of + 1]),
                cached={},
            )
        found: Layout = self.cached["after", length]
        return found

    def seen(self, part: slice, vocabulary: int) -> Tensor:
        """Which tokens stand before each of these scored tokens in its path. [t, V]"""
        sources = self.sources[part]
        rows: list[Any] = []
        columns: list[Any] = []
        places = zip(sources.tolist(), self.node_of[sources].tolist(), strict=True)
        for row, (source, node) in enumerate(places):
            before = [self.nodes[n].ids for n in self.ancestors[node]]
            before.append(self.nodes[node].ids[: source - self.starts[node] + 1])
            columns += before
            rows.append(np.full(sum(len(ids) for ids in before), row))
        found = torch.zeros(len(sources), vocabulary, dtype=torch.bool)
        found[torch.from_numpy(_joined(rows)), torch.from_numpy(_joined(columns))] = True
        return found.to(sources.device)


def lay_out(
    paths: Sequence[Branch], nodes: list[Node], chains: Sequence[Sequence[int]], device: torch.device
) -> Layout:
    """Put nodes one after the other; the first token of every child is predicted by its parent's last position.

    Args:
        paths: the completions.
        nodes: what `grow` found, parents before children.
        chains: for each completion the nodes it runs through.
        device: where the stream goes.
    """
    lengths = [len(node.ids) for node in nodes]
    starts = np.cumsum([0, *lengths])[:-1]
    runs = [np.arange(start, start + n) for start, n in zip(starts, lengths, strict=True)]
    entries, before, last = [], [], []
    for path, chain in zip(paths, chains, strict=True):
        places = np.concatenate([runs[n] for n in chain])  # path position -> stream position
        entries.append(places[path.counted])
        before.append(places[path.counted - 1])
        last.append(places[len(path.ids) - 1])
    unique, which, scored = np.unique(_joined(entries), return_index=True, return_inverse=True)
    ids = _joined([node.ids for node in nodes])
    ancestors: list[list[int]] = []
    for node in nodes:
        ancestors.append([*ancestors[node.parent], node.parent] if node.parent >= 0 else [])

    def moved(values: Any) -> Tensor:
        return torch.from_numpy(np.asarray(values, np.int64)).to(device)

    return Layout(
        ids=moved(ids),
        positions=moved(_joined([np.arange(node.start, node.start + len(node.ids)) for node in nodes])),
        nodes=nodes,
        starts=starts.tolist(),
        ancestors=ancestors,
        sources=moved(_joined(before)[which]),
        targets=moved(ids[unique]),
        scored=moved(scored),
        last=moved(last),
        node_of=moved(np.repeat(np.arange(len(nodes)), lengths)),
    )


def _joined(parts: Sequence[Any]) -> Any:
    return np.concatenate([*parts, np.empty(0, np.int64)]).astype(np.int64)
