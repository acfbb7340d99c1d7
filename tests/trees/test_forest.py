"""Levels, fields and selections of a forest."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from espalier.trees.forest import Forest
from espalier.trees.tree import Field, Tree
from tests.trees.exact import path


def trees() -> list[Tree]:
    """Three examples of 2, 1 and 3 completions, with fields on every level."""
    ends = [[[7, 8], [9]], [[4, 5, 6]], [[2], [3, 3], [8, 8, 8]]]
    found = []
    for number, completions in enumerate(ends):
        tokens = [float(10 * number + i) for i in range(sum(map(len, completions)))]
        found.append(
            Tree.of(
                [path([1, 2, 3 + number], completion) for completion in completions],
                weight=float(number),
                best=Field([len(completions) - 1], index="completion"),
                reward=Field([float(len(c)) for c in completions], level="completion"),
                advantage=Field(tokens, level="token"),
                pivot=Field([0] * len(completions), level="completion", index="token"),
            )
        )
    return found


def test_levels_count_examples_completions_and_counted_tokens():
    forest = Forest.plant(trees())
    assert [forest.size(level) for level in ("example", "completion", "token")] == [3, 6, 12]
    assert forest.owner("completion").tolist() == [0, 0, 1, 2, 2, 2]
    assert forest.owner("token").tolist() == [0] * 3 + [1] * 3 + [2] * 6
    assert forest.completion_of.tolist() == [0, 0, 1, 2, 2, 2, 3, 4, 4, 5, 5, 5]
    assert forest.lengths.tolist() == [2, 1, 3, 1, 2, 3]
    assert forest.sum_tokens(torch.ones(12)).tolist() == [2, 1, 3, 1, 2, 3]


def test_index_fields_are_rows_of_the_forest_and_follow_a_selection():
    forest = Forest.plant(trees())
    assert forest["best"].tolist() == [1, 2, 5]
    assert forest["pivot"].tolist() == [0, 0, 3, 6, 6, 6]
    part = forest.select([2, 0])
    assert part["best"].tolist() == [2, 4]
    assert part["reward"][part["best"]].tolist() == [3.0, 1.0]
    assert part["pivot"].tolist() == [0, 0, 0, 6, 6]
    assert part.select([1])["best"].tolist() == [1]


@given(st.lists(st.integers(0, 2), max_size=5))
def test_property_a_selection_holds_what_its_examples_held(examples):
    forest = Forest.plant(trees())
    forest.put("owner", forest.owner("token").float(), level="token")
    part = forest.select(examples)
    for name in ("weight", "reward", "advantage", "owner"):
        level = forest.fields[name].level
        rows = [forest[name][forest.owner(level) == i] for i in examples]
        assert part[name].tolist() == torch.cat([torch.empty(0), *rows]).tolist()
    assert part["best"].tolist() == Forest.plant([trees()[i] for i in examples])["best"].tolist()


def test_fields_may_have_columns_and_must_fit_their_level():
    forest = Forest.plant(trees())
    forest.put("features", torch.arange(12).view(6, 2), level="completion")
    assert forest.select([1])["features"].tolist() == [[4, 5]]
    with pytest.raises(ValueError, match="'wrong': 5 values for 6 rows of level completion"):
        forest.put("wrong", torch.zeros(5), level="completion")


def test_an_index_field_written_later_holds_rows_of_the_forest():
    forest = Forest.plant(trees())
    forest.put("worst", torch.tensor([0, 2, 4]), level="example", index="completion")
    assert forest["worst"].tolist() == [0, 2, 4]
    assert forest.select([2])["worst"].tolist() == [1]


def test_a_field_on_some_examples_only_is_refused():
    with pytest.raises(ValueError, match="'weight' is on some examples and not on others"):
        Forest.plant([Tree.of([path([1], [2])]), Tree.of([path([1], [2])], weight=1.0)])


def test_a_forest_of_no_examples_has_every_field_empty():
    forest = Forest.plant([])
    forest.count("loss", forest["weight"])
    assert forest.counts == {"loss": 0.0} and forest.layout.ids.numel() == 0
    chosen = forest["reward"][forest["chosen"]]
    assert (chosen * forest["weight"]).shape == forest["weight"][forest.owner("token")].shape == (0,)


def test_counts_stay_those_of_the_batch_in_a_piece_and_are_new_in_a_batch():
    forest = Forest.plant(trees())
    forest.count("loss", forest["weight"])
    assert forest.counts == forest.select([2]).counts == {"loss": 3.0}
    assert forest.batch([2]).counts == {"loss": 2.0}


def test_sharing_says_how_often_a_token_is_used():
    paths = sum(len(path.ids) for tree in trees() for path in tree.branches)
    assert Forest.plant(trees(), min_shared=1).sharing == paths / (
        2 + 3 + 12
    )  # a beginning, 3 prompts' ends, completions
    assert Forest.plant(trees()).sharing == 1.0
    assert Forest.plant([]).sharing == 0.0


def test_a_forest_moves_with_its_fields():
    forest = Forest.plant(trees())
    forest.count("loss", forest["weight"])
    moved = forest.to("cpu")
    assert moved["best"].tolist() == forest["best"].tolist() and moved.counts == forest.counts
