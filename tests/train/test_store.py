"""Planted rows on disk, and the order in which steps take them."""

import itertools
import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from espalier.contracts import Row
from espalier.train.store import PARTS, Order, Store, StoreWriter, prompt_hash, whole
from espalier.trees.tree import Branch, Field, Tree
from tests.train.toys import branch, pair, single

BRANCHES = some.lists(some.tuples(some.integers(0, 2**31 - 1), some.booleans()), min_size=1, max_size=6).map(
    lambda both: Branch(np.array([i for i, _ in both], np.int32), np.array([m for _, m in both], bool))
)
TREES = some.lists(BRANCHES, min_size=1, max_size=3).map(lambda paths: Tree(tuple(paths), {"weight": Field(0.5)}))
TEXT = some.text(some.characters(codec="utf-8", categories=None, exclude_categories=()), max_size=5)


def stored(folder, trees, rows=None):
    with StoreWriter(folder) as writer:
        for tree, row in zip(trees, rows or [None] * len(trees), strict=True):
            writer.add(tree, row)
    return Store(folder)


@given(some.lists(some.tuples(TREES, TEXT), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_property_what_is_written_is_read(tmp_path, content):
    folder = tmp_path / os.urandom(4).hex()
    rows = [Row({"prompt": text, "n": 1}, where=f"{text}, row 1") for _, text in content]
    store = stored(folder, [tree for tree, _ in content], rows)
    assert whole(folder) and len(store) == len(content) == len(list(store))
    for number, ((tree, _), row) in enumerate(zip(content, rows, strict=True)):
        for ours, theirs in zip(store[number].branches, tree.branches, strict=True):
            assert ours.ids.tolist() == theirs.ids.tolist() and ours.mask.tolist() == theirs.mask.tolist()
        assert store[number].fields["weight"].values == 0.5
        assert store.row(number) == row and store.row(number).where == row.where
        assert store.tokens(number) == sum(len(path.ids) for path in tree.branches)


def test_index_fields_come_back_as_such(tmp_path):
    found = stored(tmp_path / "rows", [pair(0)])[0].fields
    assert (found["rejected"].level, found["rejected"].index) == ("example", "completion")
    assert found["rejected"].values.tolist() == [1]


def test_the_digest_tells_rows_apart(tmp_path):
    both = [single(0), single(1)]
    one, same, other = (stored(tmp_path / name, trees) for name, trees in (("a", both), ("b", both), ("c", both[::-1])))
    heavier = stored(tmp_path / "d", [single(0, weight=2.0), single(1)])
    assert one.digest == same.digest
    assert len({one.digest, other.digest, heavier.digest}) == 3


@pytest.mark.parametrize("name", sorted(PARTS))
def test_a_folder_with_a_file_lost_or_cut_is_not_whole(name, tmp_path):
    folder = tmp_path / "rows"
    stored(folder, [pair(0), single(1)], [Row(prompt="x")] * 2)
    assert whole(folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: -PARTS[name]().itemsize])
    assert not whole(folder)
    (folder / name).unlink()
    assert not whole(folder)


def test_a_writer_that_fails_leaves_nothing(tmp_path):
    with pytest.raises(KeyError), StoreWriter(tmp_path / "rows") as writer:
        writer.add(single(0))
        raise KeyError
    assert not list(tmp_path.iterdir())


def test_prompts_hash_alike_where_they_are_the_same():
    assert prompt_hash(Tree((branch([1, 5], [6]),))) == prompt_hash(Tree((branch([1, 5], [7, 8]),)))
    assert prompt_hash(Tree((branch([1, 5], [6]),))) != prompt_hash(Tree((branch([1, 6], [6]),)))
    # With a start token or nothing before the first counted token the text itself decides.
    assert prompt_hash(Tree((branch([1], [6]),))) != prompt_hash(Tree((branch([1], [7]),)))


@given(some.integers(1, 30), some.integers(1, 9), some.integers(0, 3))
def test_property_every_example_comes_once_an_epoch(count, size, seed):
    order = Order(np.arange(count) * 3, size, seed)
    epochs = [[order.batch(e * order.steps_per_epoch + n) for n in range(order.steps_per_epoch)] for e in range(2)]
    for epoch in epochs:
        assert sorted(n for batch in epoch for n in batch) == (np.arange(count) * 3).tolist()
        assert all(len(batch) == size for batch in epoch[:-1])


def test_epochs_and_seeds_differ_and_any_step_can_be_asked_for():
    order = Order(np.arange(50), 50, 0)
    assert order.batch(0) != order.batch(1) != list(range(50))
    assert order.batch(0) != Order(np.arange(50), 50, 1).batch(0)
    assert Order(np.arange(50), 7, 0).batch(30) == [Order(np.arange(50), 7, 0).batch(n) for n in range(31)][-1]


@given(some.lists(some.integers(0, 6), min_size=1, max_size=40), some.sampled_from([1, 4, 8, 12]), some.integers(0, 3))
def test_property_examples_of_a_prompt_stand_together_but_do_not_fill_a_batch(prompts, size, seed):
    numbers, most = np.arange(len(prompts)), max(1, size // 4)
    order = Order(numbers, size, seed, np.array(prompts))
    taken = [n for step in range(order.steps_per_epoch) for n in order.batch(step)]
    assert sorted(taken) == numbers.tolist()
    runs = [len(list(run)) for _, run in itertools.groupby(taken, key=lambda n: prompts[n])]
    wanted = sum(-(-count // most) for count in Counter(prompts).values())
    assert len(runs) <= wanted  # two chunks of one prompt may come one after the other
    plain = Order(numbers, size, seed)
    assert taken[0] == plain.batch(0)[0]


def test_where_no_prompt_comes_twice_the_order_is_the_permutation():
    prompts = np.arange(50)[::-1]
    for step in range(7):
        assert Order(np.arange(50), 8, 3, prompts).batch(step) == Order(np.arange(50), 8, 3).batch(step)


def test_examples_of_a_prompt_meet_in_a_batch():
    prompts = np.arange(300) // 3  # three pairs of each prompt
    order = Order(np.arange(300), 24, 0, prompts)
    alone = Order(np.arange(300), 24, 0)

    def distinct(order):
        return sum(len({prompts[n] for n in order.batch(step)}) for step in range(order.steps_per_epoch))

    assert distinct(order) < 1.15 * 100  # but for those that a batch's end cuts
    assert distinct(alone) > 250
