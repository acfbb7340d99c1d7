"""A forest: several trees as one flat token stream. No padding; every shared token stands once.

Objectives see three levels: examples, their completions, and the counted tokens of each completion. Fields live on one
level; index fields address completions whatever the planting. Only the engine looks at the stream (`layout`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from espalier.trees.cutting import Piece, cut
from espalier.trees.layout import Layout, lay_out
from espalier.trees.tree import MIN_SHARED, Branch, Field, Level, Node, Tree, grow

IntArray = NDArray[np.int64]


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
    def plant(
        cls, trees: Sequence[Tree], *, device: torch.device | str = "cpu", min_shared: int = MIN_SHARED
    ) -> Forest:
        """A forest of these examples; fields of the same name are joined, and must be on every tree."""
        forest = cls(trees, device=device, min_shared=min_shared)
        names = {name for tree in trees for name in tree.fields}
        for name in sorted(names):
            if any(name not in tree.fields for tree in trees):
                raise ValueError(f"field {name!r} is on some examples and not on others")
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
        return np.array([len(path.counted) for path in self.paths], np.int64)

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
        """The values of a field, on its level; index fields as row numbers of this forest.

        A forest planted from no examples has every field, empty: a rank without rows runs the same code as the others.
        """
        if not self.trees and name not in self.fields:
            return torch.empty(0, dtype=torch.long, device=self.device)
        found = self.fields[name]
        values: Tensor = found.values
        return values + self._first(found.index)[self.owner(found.level)] if found.index else values

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def _first(self, level: Level) -> Tensor:
        """Number of each example's first row of a level. [examples]"""
        counts = self._rows_of[level]
        return torch.from_numpy(np.cumsum(counts) - counts).to(self.device)

    @cached_property
    def _rows_of(self) -> dict[Level, IntArray]:
        """How many rows of a level each example has. [examples]"""
        ends = np.cumsum(self._completions)
        sums = np.concatenate([[0], np.cumsum(self._tokens)])
        tokens = np.asarray(sums[ends] - sums[ends - self._completions], np.int64)
        return {"example": np.ones_like(ends), "completion": self._completions, "token": tokens}

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
        part.counts = self.counts
        if self.fields:
            chosen = np.asarray(examples, np.int64)
            rows = {level: torch.from_numpy(_spans(n, chosen)).to(self.device) for level, n in self._rows_of.items()}
            for name, found in self.fields.items():
                part.fields[name] = Field(found.values[rows[found.level]], found.level, found.index)
        return part

    def cost(self, examples: Sequence[int], *, shared: bool = True) -> int:
        """Tokens computed for these examples: of the stream, or with `shared=False` of padded rows."""
        return Piece(self, shared).cost(examples)

    @property
    def sharing(self) -> float:
        """Tokens of all completions with their prompts, per token of the stream: what sharing saves."""
        return sum(len(path.ids) for path in self.paths) / max(1, sum(len(node.ids) for node in self.grown[0]))

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
        """The examples of each piece: the largest go first, each to where it adds least and still fits."""
        return cut(self, max_tokens, shared=shared)

    # The stream

    @cached_property
    def paths(self) -> list[Branch]:
        """The completions of all examples, in order. [completions]"""
        return [path for tree in self.trees for path in tree.branches]

    @cached_property
    def grown(self) -> tuple[list[Node], list[list[int]]]:
        """The nodes, and for each completion the nodes it runs through."""
        return grow([path.ids for path in self.paths], self.min_shared)

    @cached_property
    def chains(self) -> list[list[list[int]]]:
        """For each example, for each of its completions, the nodes it runs through. [examples]"""
        chains = iter(self.grown[1])
        return [[next(chains) for _ in tree.branches] for tree in self.trees]

    @cached_property
    def layout(self) -> Layout:
        """The flat stream, built when first asked for."""
        return lay_out(self.paths, *self.grown, self.device)

    def to(self, device: torch.device | str) -> Forest:
        """The same forest with fields and stream on a device."""
        moved = Forest(self.trees, device=device, min_shared=self.min_shared)
        moved.fields = {name: Field(f.values.to(device), f.level, f.index) for name, f in self.fields.items()}
        moved.counts = self.counts
        return moved


def _spans(counts: IntArray, chosen: IntArray) -> IntArray:
    """Rows of the chosen examples, of which each has so many rows in a line. [examples] -> [rows]"""
    lengths = counts[chosen]
    before = np.cumsum(counts) - counts
    return np.repeat(before[chosen] - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())
