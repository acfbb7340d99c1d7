"""A tree: one example's completions, each a path of token ids from the root, and the nodes they share.

`grow` lays paths out as nodes so that a common prefix stands once:

    prompt + "yes"             [prompt]--["yes"]
    prompt + "no, sorry"   ->      |
    prompt + "no, thanks"          +----["no, "]--["sorry"]
                                           +------["thanks"]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Level = Literal["example", "completion", "token"]
Ids = NDArray[np.int32]
MIN_SHARED = 8  # a shorter common prefix costs less computed twice than as a node of its own


@dataclass(frozen=True)
class Branch:
    """One completion with everything before it: token ids from the root, and which of them count. [L], [L]"""

    ids: Ids
    mask: NDArray[np.bool_]

    def __post_init__(self) -> None:
        """Refuse what no model can score."""
        if not 0 < len(self.ids) == len(self.mask):
            raise ValueError(f"a path needs tokens, and a mask of their length: {len(self.ids)} and {len(self.mask)}")

    @cached_property
    def counted(self) -> NDArray[np.intp]:
        """Positions of the tokens that count; the first token of all has nothing before it and is never scored."""
        return np.flatnonzero(self.mask[1:]) + 1


@dataclass(frozen=True)
class Field:
    """Values of one level, one per example, completion or counted token.

    With `index` set the values are row numbers of that level within the same example, and are read as row numbers of
    the whole forest: `forest["chosen"]` picks completions however the forest was planted, sorted or cut.
    """

    values: Any
    level: Level = "example"
    index: Level | None = None


@dataclass(frozen=True)
class Tree:
    """One example: what a loss value belongs to. Its paths share prefixes with each other and with other trees."""

    branches: tuple[Branch, ...]
    fields: Mapping[str, Field] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse an example without a completion."""
        if not self.branches:
            raise ValueError("an example needs a completion")

    @classmethod
    def of(cls, branches: Sequence[Any], **fields: Any) -> Tree:
        """A tree from rendered rows (anything with `ids` and `mask`); plain numbers become fields of the example."""
        given = {name: v if isinstance(v, Field) else Field(v) for name, v in fields.items()}
        return cls(tuple(Branch(np.asarray(p.ids, np.int32), np.asarray(p.mask, bool)) for p in branches), given)

    @property
    def counted(self) -> int:
        """Number of scored tokens over all completions."""
        return sum(len(path.counted) for path in self.branches)

    @property
    def longest(self) -> int:
        """Tokens of the longest path."""
        return max(len(path.ids) for path in self.branches)


@dataclass
class Node:
    """A run of tokens shared by every path below it; `start` is the position of its first token in the path."""

    ids: Ids
    parent: int  # -1 for a root
    start: int


def common(a: Ids, b: Ids) -> int:
    """Length of the common prefix."""
    n = min(len(a), len(b))
    differ = a[:n] != b[:n]
    first = int(differ.argmax()) if n else 0
    return first if n and differ[first] else n


def grow(paths: Sequence[Ids], min_shared: int = MIN_SHARED) -> tuple[list[Node], list[list[int]]]:
    """Nodes that hold every path with common prefixes merged, and for each path the nodes it runs through.

    Paths are taken in the order of their token ids, so the nodes do not depend on the order they are given in, and what
    two paths share is what the neighbors between them share.

    Args:
        paths: token ids, each from its root; none is empty. [L] each
        min_shared: shorter common prefixes are computed twice instead of split off.

    Returns:
        The nodes, depth first, and per path its chain of nodes; a path may end inside its last node.
    """
    if min_shared < 1:
        raise ValueError(f"min_shared must be at least 1, not {min_shared}")
    keys = [path.astype(">i4").tobytes() for path in paths]  # their order is that of the ids
    order = sorted(range(len(paths)), key=keys.__getitem__, reverse=True)
    leaves: list[Ids] = []  # the paths that are not the beginning of another: longer ones come first
    shared: list[int] = []  # what each leaf has in common with the leaf before it
    leaf_of = [0] * len(paths)
    for path in order:
        length = common(leaves[-1], paths[path]) if leaves else 0
        if not leaves or length < len(paths[path]):
            leaves.append(paths[path])
            shared.append(length)
        leaf_of[path] = len(leaves) - 1

    nodes: list[Node] = []
    chains: list[list[int]] = [[] for _ in leaves]
    groups = [(first, end, 0, -1) for first, end in _together(shared, 0, len(leaves), min_shared)][::-1]
    while groups:
        first, end, start, parent = groups.pop()
        stop = min(shared[first + 1 : end], default=len(leaves[first]))
        nodes.append(Node(leaves[first][start:stop], parent, start))
        for leaf in range(first, end):
            chains[leaf].append(len(nodes) - 1)
        if end - first > 1:
            below = _together(shared, first, end, stop + min_shared)
            groups += [(a, b, stop, len(nodes) - 1) for a, b in below][::-1]
    found = [[n for n in chains[leaf] if nodes[n].start < len(path)] for leaf, path in zip(leaf_of, paths, strict=True)]
    return nodes, found


def _together(shared: Sequence[int], first: int, end: int, least: int) -> list[tuple[int, int]]:
    """Cut leaves [first, end) where neighbors share fewer than `least` tokens."""
    cuts = [first, *(leaf for leaf in range(first + 1, end) if shared[leaf] < least), end]
    return [(a, b) for a, b in pairwise(cuts) if a < b]
