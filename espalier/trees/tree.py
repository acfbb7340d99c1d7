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

    @property
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
    children: list[int] = field(default_factory=list)


def common(a: Ids, b: Ids) -> int:
    """Length of the common prefix."""
    n = min(len(a), len(b))
    differ = np.flatnonzero(a[:n] != b[:n])
    return int(differ[0]) if len(differ) else n


def grow(paths: Sequence[Ids], min_shared: int = MIN_SHARED) -> tuple[list[Node], list[list[int]]]:
    """Nodes that hold every path with common prefixes merged, and for each path the nodes it runs through.

    Args:
        paths: token ids, each from its root. [L] each
        min_shared: shorter common prefixes are computed twice instead of split off.

    Returns:
        The nodes, parents before children, and per path its chain of nodes; a path may end inside its last node.
    """
    nodes: list[Node] = []
    roots: list[int] = []
    ends: list[int] = []
    for path in paths:
        parent, position, children = -1, 0, roots
        while True:
            shared, best = max(((common(nodes[c].ids, path[position:]), c) for c in children), default=(0, -1))
            whole = best >= 0 and shared == len(nodes[best].ids)
            if best >= 0 and position + shared == len(path):
                parent = best  # the path ends in this node
                break
            if whole or shared >= min_shared:
                if not whole:
                    _split(nodes, best, shared)
                parent, position, children = best, position + shared, nodes[best].children
                continue
            nodes.append(Node(path[position:], parent, position))
            children.append(len(nodes) - 1)
            parent = len(nodes) - 1
            break
        ends.append(parent)
    return _ordered(nodes, roots, ends, [len(path) for path in paths])


def _split(nodes: list[Node], at: int, length: int) -> None:
    """Cut node `at` after `length` tokens; it keeps its number and the first part, a new node takes the rest."""
    node = nodes[at]
    rest = Node(node.ids[length:], at, node.start + length, node.children)
    nodes.append(rest)
    for child in rest.children:
        nodes[child].parent = len(nodes) - 1
    nodes[at] = Node(node.ids[:length], node.parent, node.start, [len(nodes) - 1])


def _ordered(nodes: list[Node], roots: list[int], ends: list[int], lengths: list[int]) -> tuple[list[Node], list[list[int]]]:
    """Number the nodes depth first, and find each path's chain; a split may have moved a path's end to a later node."""
    order: list[int] = []
    stack = roots[::-1]
    while stack:
        order.append(stack.pop())
        stack += nodes[order[-1]].children[::-1]
    number = {old: new for new, old in enumerate(order)}
    ordered = [nodes[old] for old in order]
    for node in ordered:
        node.parent = number.get(node.parent, -1)
        node.children = [number[c] for c in node.children]
    chains = []
    for end, length in zip(ends, lengths, strict=True):
        chains.append(_chain(ordered, number[end], length))
    return ordered, chains


def _chain(nodes: list[Node], end: int, length: int) -> list[int]:
    """Nodes from the root to the one in which a path of this length ends, which is `end` or, after a split, below it."""
    while nodes[end].start + len(nodes[end].ids) < length:
        end = nodes[end].children[0]  # the rest of a split node is always its first child
    chain = [end]
    while nodes[chain[-1]].parent >= 0:
        chain.append(nodes[chain[-1]].parent)
    return chain[::-1]
