"""Growing nodes from paths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.trees.tree import Branch, Field, Tree, common, grow
from tests.trees.exact import garden, path

few_letters = st.lists(st.integers(0, 2), min_size=1, max_size=14)  # so that paths share prefixes of every length
forests = st.lists(few_letters, max_size=12).map(lambda paths: [np.array(p, np.int32) for p in paths])
sharing = st.sampled_from([1, 2, 3, 8])


@given(forests, sharing)
def test_property_every_path_is_what_its_chain_begins_with(paths, min_shared):
    nodes, chains = grow(paths, min_shared)
    for ids, chain in zip(paths, chains, strict=True):
        whole = np.concatenate([nodes[n].ids for n in chain])
        assert whole[: len(ids)].tolist() == ids.tolist()
        assert nodes[chain[-1]].start < len(ids), "its last node holds a part of it"
        assert [nodes[n].parent for n in chain] == [-1, *chain[:-1]]
        assert [nodes[n].start for n in chain] == np.cumsum([0, *(len(nodes[n].ids) for n in chain)])[:-1].tolist()


@given(forests, sharing)
def test_property_nothing_long_enough_stands_twice(paths, min_shared):
    nodes, _ = grow(paths, min_shared)
    for n, node in enumerate(nodes):
        siblings = [other for other in nodes[:n] if other.parent == node.parent]
        assert all(common(node.ids, other.ids) < min_shared for other in siblings)


@given(forests, sharing)
def test_property_nodes_stand_depth_first_and_each_is_needed(paths, min_shared):
    nodes, chains = grow(paths, min_shared)
    chain: list[int] = []
    for n, node in enumerate(nodes):
        while chain and chain[-1] != node.parent:
            chain.pop()
        assert (chain[-1] if chain else -1) == node.parent, "a node follows its parent or its sibling's last descendant"
        chain.append(n)
    assert {n for chain in chains for n in chain} == set(range(len(nodes)))
    assert all(len(node.ids) for node in nodes)


@given(forests, sharing, st.randoms())
def test_property_the_order_of_paths_does_not_matter(paths, min_shared, random):
    order = random.sample(range(len(paths)), len(paths))
    nodes, chains = grow(paths, min_shared)
    again, moved = grow([paths[i] for i in order], min_shared)
    assert [node.ids.tolist() for node in nodes] == [node.ids.tolist() for node in again]
    assert [chains[i] for i in order] == moved


def test_paths_that_begin_alike_share_nodes():
    prompt = [1, 2, 3]
    nodes, chains = grow([np.array(prompt + end, np.int32) for end in ([4, 5], [4, 6], [4], [7])], min_shared=1)
    assert {tuple(node.ids.tolist()) for node in nodes} == {(1, 2, 3), (4,), (5,), (6,), (7,)}
    assert len(chains[2]) == 2 and chains[0][:2] == chains[1][:2] == chains[2]


def test_a_short_common_beginning_is_computed_twice():
    paths = [np.array([1, 2, 3, 4], np.int32), np.array([1, 2, 5], np.int32)]
    assert len(grow(paths, 2)[0]) == 3
    assert [node.parent for node in grow(paths, 3)[0]] == [-1, -1]


def test_a_beginning_of_another_path_and_a_twin_need_no_node():
    paths = [np.array(ids, np.int32) for ids in ([1, 2, 3, 4], [1, 2, 3, 4], [1, 2])]
    nodes, chains = grow(paths)
    assert len(nodes) == 1 and chains == [[0], [0], [0]]


def test_counted_tokens_leave_out_the_first_of_all():
    assert Branch(np.array([5, 6, 7]), np.array([True, False, True])).counted.tolist() == [2]
    tree = garden()[4]
    assert tree.counted == tree.longest - 1


def test_plain_numbers_become_fields_of_the_example():
    tree = Tree.of([path([1], [2])], weight=2.0, chosen=Field([0], index="completion"))
    assert tree.fields["weight"] == Field(2.0)
    assert tree.fields["chosen"].index == "completion"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Branch(np.array([], np.int32), np.array([], bool)), "a path needs tokens"),
        (lambda: Branch(np.array([1, 2]), np.array([True])), "a mask of their length: 2 and 1"),
        (lambda: Tree(()), "needs a completion"),
        (lambda: grow([np.array([1], np.int32)], 0), "min_shared must be at least 1"),
    ],
)
def test_what_cannot_be_scored_is_refused(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
