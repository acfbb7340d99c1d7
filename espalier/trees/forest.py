"""A forest: several trees as one flat token stream. No padding; every shared token stands once.

Objectives see three levels: examples, their completions, and the counted tokens of each completion. Fields live on one
level; index fields address completions whatever the planting. Only the engine looks at the stream (`layout`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from espalier.trees.tree import MIN_SHARED, Field, Level, Node, Tree, grow

IntArray = NDArray[np.int64]


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


class Forest:
    """Examples and their fields. `forest["name"]` reads a field, `put` writes one, `split` cuts between examples."""

    def __init__(
        self,
        trees: Sequence[Tree],
        fields: dict[str, Field] | None = None,
        *,
        device: torch.device | str = "cpu",
        min_shared: int = MIN_SHARED,
    ) -> None:
        self.trees = list(trees)
        self.device = torch.device(device)
        self.min_shared = min_shared
        self.counts: dict[str, float] = {}
        self.fields = dict(fields or {})

    @classmethod
    def plant(cls, trees: Sequence[Tree], *, device: torch.device | str = "cpu", min_shared: int = MIN_SHARED) -> Forest:
        """A forest of these examples; fields of the same name are joined, and must be on every tree."""
        forest = cls(trees, device=device, min_shared=min_shared)
        for name in trees[0].fields if trees else ():
            parts = [tree.fields[name] for tree in trees]
            values = torch.cat([torch.as_tensor(part.values).reshape(-1) for part in parts])
            forest.put(name, values, level=parts[0].level, index=parts[0].index, local=True)
        return forest

    # Levels

    @property
    def examples(self) -> int:
        """Number of examples."""
        return len(self.trees)

    @cached_property
    def _completions(self) -> IntArray:
        """Completions of each example. [examples]"""
        return np.array([len(tree.branches) for tree in self.trees], np.int64)

    @cached_property
    def _tokens(self) -> IntArray:
        """Counted tokens of each completion. [completions]"""
        return np.array([len(path.counted) for tree in self.trees for path in tree.branches], np.int64)

    def size(self, level: Level) -> int:
        """How many rows a level has."""
        return {"example": self.examples, "completion": len(self._tokens), "token": int(self._tokens.sum())}[level]

    def owner(self, level: Level) -> Tensor:
        """The example each row of a level belongs to. [rows]"""
        owners = np.arange(self.examples)
        if level != "example":
            owners = np.repeat(owners, self._completions)
        if level == "token":
            owners = np.repeat(owners, self._tokens)
        return torch.from_numpy(owners).to(self.device)

    @cached_property
    def completion_of(self) -> Tensor:
        """The completion each counted token belongs to. [tokens]"""
        return torch.from_numpy(np.repeat(np.arange(len(self._tokens)), self._tokens)).to(self.device)

    @cached_property
    def lengths(self) -> Tensor:
        """Counted tokens of each completion. [completions]"""
        return torch.from_numpy(self._tokens).to(self.device)

    # Fields

    def put(self, name: str, values: Tensor, *, level: Level, index: Level | None = None, local: bool = False) -> None:
        """Write a field of one level; index fields hold row numbers of the forest (`local`: of their own example)."""
        if len(values) != self.size(level):
            raise ValueError(f"field {name!r}: {len(values)} values for {self.size(level)} rows of level {level}")
        values = values.to(self.device)
        if index and not local:
            values = values - self._first(index)[self.owner(level)]
        self.fields[name] = Field(values, level, index)

    def __getitem__(self, name: str) -> Tensor:
        """The values of a field, on its level; index fields as row numbers of this forest."""
        found = self.fields[name]
        return found.values + self._first(found.index)[self.owner(found.level)] if found.index else found.values

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def _first(self, level: Level) -> Tensor:
        """Number of each example's first row of a level. [examples]"""
        counts = self._completions if level == "completion" else self._tokens_per_example
        return torch.from_numpy(np.cumsum(counts) - counts).to(self.device)

    @cached_property
    def _tokens_per_example(self) -> IntArray:
        ends = np.cumsum(self._completions)
        sums = np.concatenate([[0], np.cumsum(self._tokens)])
        return np.asarray(sums[ends] - sums[ends - self._completions], np.int64)

    def sum_tokens(self, values: Tensor) -> Tensor:
        """Per completion, the sum of a value over its counted tokens. [tokens] -> [completions]"""
        return values.new_zeros(self.size("completion")).index_add(0, self.completion_of, values)

    # Counts: what the totals of a loss are divided by, known before the first backward

    def count(self, term: str, values: Tensor) -> None:
        """Write how much each example counts in a term of the loss (1, its tokens, its weight). [examples]"""
        self.put(f"count/{term}", values.double(), level="example")
        self.counts[term] = float(values.double().sum())

    def batch(self, examples: Sequence[int]) -> Forest:
        """A batch of its own: these examples, with their own counts (for several minibatches of one rollout)."""
        part = self.select(examples)
        names = [name.removeprefix("count/") for name in self.fields if name.startswith("count/")]
        part.counts = {name: float(part[f"count/{name}"].sum()) for name in names}
        return part

    # Cutting

    def select(self, examples: Sequence[int]) -> Forest:
        """The forest of these examples alone, fields cut accordingly; counts stay those of the whole batch."""
        part = Forest([self.trees[i] for i in examples], device=self.device, min_shared=self.min_shared)
        keep = torch.as_tensor(list(examples), dtype=torch.long, device=self.device)
        rows: dict[Level, Tensor] = {"example": keep}
        for level in ("completion", "token"):
            counts = torch.from_numpy(self._completions if level == "completion" else self._tokens_per_example)
            first = self._first(level)
            spans = [torch.arange(int(first[i]), int(first[i] + counts[i])) for i in examples]
            rows[level] = torch.cat([*spans, torch.empty(0, dtype=torch.long)]).to(self.device)
        for name, found in self.fields.items():
            part.fields[name] = Field(found.values[rows[found.level]], found.level, found.index)
        part.counts = self.counts
        return part

    def cost(self, examples: Sequence[int], *, shared: bool = True) -> int:
        """Tokens computed for these examples: of the stream, or with `shared=False` of padded rows."""
        if shared:
            return sum(len(self._nodes[node].ids) for node in set().union(*(self._nodes_of[i] for i in examples)))
        lengths = [len(path.ids) for i in examples for path in self.trees[i].branches]
        return max(lengths, default=0) * len(lengths)

    def split(self, max_tokens: int | None, *, pieces: int = 0, shared: bool = True) -> list[Forest]:
        """Cut between examples into pieces of at most `max_tokens` tokens, or one example where that alone is larger.

        Args:
            max_tokens: tokens computed at once; None means one piece.
            pieces: at least so many pieces, the last ones empty (all ranks must take part in the same number).
            shared: whether prompts are shared; without, a piece is a padded batch of rows.
        """
        groups = self.pieces(max_tokens, shared=shared)
        groups += [[] for _ in range(pieces - len(groups))]
        return [self] if len(groups) == 1 else [self.select(group) for group in groups]

    def pieces(self, max_tokens: int | None, *, shared: bool = True) -> list[list[int]]:
        """The examples of each piece: those that share a root stay together, the largest go first."""
        if max_tokens is None or not self.trees:
            return [list(range(self.examples))]

        def fits(members: list[int]) -> bool:
            return self.cost(members, shared=shared) <= max_tokens

        bundles: list[list[int]] = []
        for members in self._by_root() if shared else [[i] for i in range(self.examples)]:
            bundle: list[int] = []
            for i in members:  # a group larger than a piece is cut, and repeats its root
                if bundle and not fits([*bundle, i]):
                    bundles.append(bundle)
                    bundle = []
                bundle.append(i)
            bundles.append(bundle)
        found: list[list[int]] = []
        for bundle in sorted(bundles, key=lambda members: -self.cost(members, shared=shared)):
            home = next((piece for piece in found if fits(piece + bundle)), None)
            if home is None:
                found.append(list(bundle))
            else:
                home += bundle
        return [sorted(piece) for piece in found]

    def _by_root(self) -> list[list[int]]:
        """Examples whose first completions share a root, in order."""
        groups: dict[int, list[int]] = {}
        for i in range(self.examples):
            groups.setdefault(min(self._nodes_of[i]), []).append(i)
        return list(groups.values())

    # The stream

    @cached_property
    def _grown(self) -> tuple[list[Node], list[list[int]]]:
        return grow([path.ids for tree in self.trees for path in tree.branches], self.min_shared)

    @property
    def _nodes(self) -> list[Node]:
        return self._grown[0]

    @cached_property
    def _nodes_of(self) -> list[set[int]]:
        """The nodes of each example. [examples]"""
        chains = iter(self._grown[1])
        return [{node for _ in tree.branches for node in next(chains)} for tree in self.trees]

    @cached_property
    def layout(self) -> Layout:
        """The flat stream, built when first asked for."""
        nodes, chains = self._grown
        starts = np.concatenate([[0], np.cumsum([len(node.ids) for node in nodes])]).astype(np.int64)[: len(nodes)]
        places = [np.arange(start, start + len(node.ids)) for start, node in zip(starts, nodes, strict=True)]
        entries, before, last = [], [], []
        for path, chain in zip((p for tree in self.trees for p in tree.branches), chains, strict=True):
            stream = np.concatenate([places[n] for n in chain])  # path position -> stream position
            counted = path.counted
            entries.append(stream[counted])
            before.append(stream[counted - 1])
            last.append(stream[len(path.ids) - 1])
        entry = np.concatenate([*entries, np.empty(0, np.int64)]).astype(np.int64)
        unique, which, scored = np.unique(entry, return_index=True, return_inverse=True)
        ids = np.concatenate([*(node.ids for node in nodes), np.empty(0, np.int32)]).astype(np.int64)
        starts_in_path = [np.arange(node.start, node.start + len(node.ids)) for node in nodes]
        tensors: dict[str, Any] = {
            "ids": ids,
            "positions": np.concatenate([*starts_in_path, np.empty(0, np.int64)]).astype(np.int64),
            "sources": np.concatenate([*before, np.empty(0, np.int64)]).astype(np.int64)[which],
            "targets": ids[unique],
            "scored": scored.astype(np.int64),
            "last": np.array(last, np.int64),
            "node_of": np.repeat(np.arange(len(nodes)), [len(node.ids) for node in nodes]),
        }
        ancestors: list[list[int]] = []
        for node in nodes:
            ancestors.append([*ancestors[node.parent], node.parent] if node.parent >= 0 else [])
        moved = {name: torch.from_numpy(values).to(self.device) for name, values in tensors.items()}
        return Layout(nodes=nodes, starts=[int(s) for s in starts], ancestors=ancestors, **moved)

    def to(self, device: torch.device | str) -> Forest:
        """The same forest with fields and stream on a device."""
        moved = Forest(self.trees, device=device, min_shared=self.min_shared)
        moved.fields = {name: Field(f.values.to(device), f.level, f.index) for name, f in self.fields.items()}
        moved.counts = self.counts
        return moved

