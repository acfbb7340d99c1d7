"""Zephyr's pairs: the best against a random one of those that score lower, the same from the same seed."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.contracts import Row, Scores
from espalier.errors import RowError
from espalier.rows import kind
from espalier.selection.binarize import Binarize, binarized


def test_formula_binarized():
    assert binarized([3.0, 9.0, 5.0, 1.0], rejected="worst") == (1, 3)
    assert [binarized([3.0, 9.0, 5.0, 1.0], draw=draw) for draw in range(4)] == [(1, 0), (1, 2), (1, 3), (1, 0)]
    assert binarized([9.0, 9.0, 5.0], draw=7) == (0, 2), "never the other of two best"
    assert binarized([4.0, 4.0]) is None and binarized([4.0]) is None and binarized([]) is None


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(0, 99))
def test_property_the_chosen_one_scores_best_and_the_rejected_one_lower(scores, draw):
    found = binarized(scores, draw=draw)
    if len(set(scores)) == 1:
        assert found is None
    else:
        assert scores[found[0]] == max(scores) > scores[found[1]]


def rows(count):
    return [
        Row({"prompt": f"p{n}", "completions": list("abcd"), "scores": [9, 1, 2, 3], "n": n}, f"row {n}")
        for n in range(count)
    ]


def test_every_other_answer_is_drawn_alike_and_the_same_seed_draws_the_same():
    made = list(Binarize().curate(rows(300)))
    assert {row["chosen"] for row in made} == {"a"} and {kind(row) for row in made} == {"preference"}
    counts = Counter(row["rejected"] for row in made)
    assert counts.keys() == set("bcd") and all(70 < count < 130 for count in counts.values())  # 100 each, +- 3.7 sigma
    assert made == list(Binarize().curate(rows(300))) != list(Binarize(seed=1).curate(rows(300)))
    assert made[7] in list(Binarize().curate(reversed(rows(300)))), "where a row stands does not matter"
    assert made[0] == {
        "prompt": "p0", "n": 0, "chosen": "a", "rejected": made[0]["rejected"], "chosen_score": 9.0,
        "rejected_score": {"b": 1.0, "c": 2.0, "d": 3.0}[made[0]["rejected"]],
    }  # fmt: skip


def test_no_pair_of_equal_scores_and_none_of_unknown_ones():
    found = Binarize().curate(
        [
            Row({"prompt": "p", "completions": ["a", "b"], "scores": [5, 5]}, "row 1"),
            Row({"prompt": "p", "completions": ["a", "b"], "scores": [None, 5]}, "row 2"),
            Row({"prompt": "p", "completions": ["a", "b", "c"], "scores": [None, 5, 4]}, "row 3"),
        ]
    )
    assert [(row["chosen"], row["rejected"]) for row in found] == [("b", "c")]
    assert [(lost.where, lost.reason) for lost in found.dropped] == [
        ("row 1", "all answers score the same"),
        ("row 2", "fewer than two answers have a score"),
    ]


def test_a_scorer_scores_what_has_no_scores():
    class Length:
        def score(self, rows):
            return Scores(tuple(float(len(row["completion"])) for row in rows))

    [row] = Binarize(scorer=Length()).curate([Row(prompt="p", completions=["a", "aaa"])])
    assert (row["chosen"], row["rejected"], row["chosen_score"]) == ("aaa", "a", 3.0)
    with pytest.raises(RowError, match="must be lists"):
        list(Binarize().curate([Row(prompt="p", completions=["a", "aaa"])]))
