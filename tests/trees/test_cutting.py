"""Cutting a forest into pieces."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.trees.forest import Forest
from espalier.trees.tree import Tree
from tests.trees.exact import garden, path

letters = st.lists(st.integers(0, 1), min_size=1, max_size=6)
example = st.lists(letters, min_size=1, max_size=3).map(lambda ends: Tree(tuple(path([], end) for end in ends)))


@given(st.lists(example, min_size=1, max_size=6), st.integers(1, 20), st.booleans())
def test_property_every_example_is_in_one_piece_that_fits_or_alone(trees, max_tokens, shared):
    forest = Forest(trees, min_shared=1)
    pieces = forest.pieces(max_tokens, shared=shared)
    assert sorted(i for piece in pieces for i in piece) == list(range(len(trees)))
    for piece in pieces:
        cost = forest.cost(piece, shared=shared)
        assert cost <= max_tokens or len(piece) == 1
        part = forest.select(piece)
        rows = [len(branch.ids) for branch in part.paths]
        if shared:  # a path may end inside a node, whose rest is then counted though the piece does not hold it
            assert part.layout.ids.numel() <= cost
        else:
            assert len(rows) * max(rows) == cost


def group(prompt: int, size: int, tokens: int) -> list[Tree]:
    """Examples of one completion each that share a prompt of 20 tokens."""
    random = np.random.default_rng(prompt)
    start = random.integers(0, 1000, 20).tolist()
    return [Tree((path(start, random.integers(1000, 2000, tokens).tolist()),)) for _ in range(size)]


def test_examples_of_one_prompt_stay_together():
    trees = [tree for members in zip(*(group(n, 4, 5) for n in range(4)), strict=True) for tree in members]
    pieces = Forest.plant(trees).pieces(80)
    assert sorted(len(piece) for piece in pieces) == [8, 8]
    assert all(len({i % 4 for i in piece}) == 2 for piece in pieces)


def test_a_group_larger_than_a_piece_is_cut_and_repeats_its_prompt():
    forest = Forest.plant(group(0, 10, 10))
    assert [forest.cost(piece) for piece in forest.pieces(60)] == [60, 60, 40]


def test_no_limit_is_one_piece_and_more_pieces_are_empty():
    forest = Forest.plant(garden())
    assert forest.pieces(None) == [list(range(7))] and forest.split(None) == [forest]
    assert [piece.examples for piece in forest.split(None, pieces=3)] == [7, 0, 0]
    assert [piece.examples for piece in Forest.plant([]).split(100, pieces=2)] == [0, 0]


@pytest.mark.parametrize("shared", [True, False])
def test_pieces_are_nearly_full(shared):
    random = np.random.default_rng(0)
    trees = [Tree((path(*np.split(random.integers(0, 9999, n), [n // 2])),)) for n in random.integers(10, 60, 200)]
    forest = Forest.plant(trees)
    full = sum(tree.longest for tree in trees) / 400
    assert len(forest.pieces(400, shared=shared)) <= (1.05 if shared else 1.25) * full + 1
