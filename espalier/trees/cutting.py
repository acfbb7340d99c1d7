"""Cutting a forest between examples into pieces that are computed one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from espalier.trees.forest import Forest


class Piece:
    """Examples computed together, and what they cost: tokens of the stream, or with `shared=False` of padded rows."""

    def __init__(self, forest: Forest, shared: bool) -> None:
        self.forest = forest
        self.shared = shared
        self.members: list[int] = []
        self.nodes: set[int] = set()
        self.tokens = self.rows = self.width = 0

    def cost(self, more: Sequence[int]) -> int:
        """Tokens with these examples added."""
        if self.shared:
            nodes = self.forest.grown[0]
            return self.tokens + sum(len(nodes[n].ids) for n in self._nodes_of(more) - self.nodes)
        rows, width = self._padded(more)
        return rows * width

    def add(self, more: Sequence[int]) -> None:
        """Add examples."""
        self.tokens = self.cost(more)
        self.members += more
        if self.shared:
            self.nodes |= self._nodes_of(more)
        else:
            self.rows, self.width = self._padded(more)

    def _nodes_of(self, examples: Sequence[int]) -> set[int]:
        return {node for i in examples for chain in self.forest.chains[i] for node in chain}

    def _padded(self, more: Sequence[int]) -> tuple[int, int]:
        trees = [self.forest.trees[i] for i in more]
        rows = self.rows + sum(len(tree.branches) for tree in trees)
        return rows, max([self.width, *(tree.longest for tree in trees)])


def cut(forest: Forest, max_tokens: int | None, *, shared: bool) -> list[list[int]]:
    """The examples of each piece: the largest go first, each to where it adds least and still fits.

    Args:
        forest: the examples.
        max_tokens: tokens computed at once; an example that alone has more is a piece of its own. None means one piece.
        shared: whether prompts are shared; without, a piece is a padded batch of rows.
    """
    everything = range(forest.examples)
    if max_tokens is None or not everything:
        return [list(everything)]
    bundles = list(_bundles(forest, everything, 0, max_tokens)) if shared else [[i] for i in everything]
    pieces: list[Piece] = []
    for bundle in sorted(bundles, key=lambda members: -Piece(forest, shared).cost(members)):
        costs = [(piece.cost(bundle), piece) for piece in pieces]
        fitting = [(cost - piece.tokens, piece) for cost, piece in costs if cost <= max_tokens]
        if not fitting:
            pieces.append(Piece(forest, shared))
        home = min(fitting, key=lambda added: added[0])[1] if fitting else pieces[-1]
        home.add(bundle)
    return [sorted(piece.members) for piece in pieces]


def _bundles(forest: Forest, members: Sequence[int], depth: int, max_tokens: int) -> Iterator[list[int]]:
    """Examples that share a node of this depth stay together if they fit; else they are parted where it branches."""
    groups: dict[int, list[int]] = {}
    for i in members:
        chain = forest.chains[i][0]
        groups.setdefault(chain[depth] if depth < len(chain) else -1 - i, []).append(i)
    for group in groups.values():
        if len(group) == 1 or Piece(forest, True).cost(group) <= max_tokens:
            yield group
        else:
            yield from _bundles(forest, group, depth + 1, max_tokens)
