"""The sliding window: right for every length, window and step, and for any reply."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import RecipeError
from espalier.windows import check, completed, read_ranking, slide, windows

SIZES = [(20, 10), (20, 5), (4, 2), (5, 3), (2, 1), (7, 6)]


def perfect(seen: list[int], truth: list[int]) -> list[int]:
    """Places of what is seen, the truly best first."""
    return sorted(range(len(seen)), key=lambda place: truth[seen[place]])


@pytest.mark.parametrize(("window", "step"), SIZES)
def test_property_the_best_arrive_at_the_top_whatever_the_length(window, step):
    for n in range(1, 121):
        truth = random.Random(n).sample(range(n), n)  # the true rank of each candidate
        found = slide(n, lambda seen, truth=truth: perfect(seen, truth), window=window, step=step)
        best = n if n <= window else min(n, window - step)
        assert sorted(found.order) == list(range(n))
        assert [truth[candidate] for candidate in found.order[:best]] == list(range(best))
        assert found.calls == (0 if n == 1 else 1 if n <= window else -(-(n - window) // step) + 1)


@pytest.mark.parametrize(("window", "step"), SIZES)
def test_property_every_candidate_is_seen_and_no_window_follows_one_at_the_top(window, step):
    for n in range(121):
        spans = windows(n, window, step)
        assert set(range(n)) == {place for begin, end in spans for place in range(begin, end)}
        assert all(0 < end - begin <= window for begin, end in spans)
        assert [begin for begin, _ in spans].count(0) == (n > 0)


def test_further_passes_bring_as_many_again():
    truth = random.Random(0).sample(range(40), 40)
    found = slide(40, lambda seen: perfect(seen, truth), window=8, step=4, passes=10)
    assert [truth[candidate] for candidate in found.order] == list(range(40))
    assert found.calls == 10 * 9


def test_fifteen_candidates_take_one_call_and_twenty_five_see_the_top():
    """The authors' own window makes no call for 15, and never sees the first five of 25."""
    assert windows(15, 20, 10) == [(0, 15)]
    assert windows(25, 20, 10) == [(5, 25), (0, 15)]
    assert windows(100, 20, 10)[0] == (80, 100) and windows(100, 20, 10)[-1] == (0, 20)


def test_an_unreadable_reply_changes_nothing_and_is_counted():
    assert slide(25, lambda seen: None).order == tuple(range(25))
    assert slide(25, lambda seen: None).unread == 2


def test_numbers_that_leave_candidates_out_are_refused():
    for window, step, passes in [(20, 20, 1), (20, 0, 1), (1, 1, 1), (20, 10, 0)]:
        with pytest.raises(RecipeError, match="smaller than the window"):
            check("rerankers/rankgpt", window, step, passes)


@given(st.lists(st.integers(-3, 30)), st.integers(0, 20))
def test_property_any_reply_becomes_a_permutation(places, n):
    assert sorted(completed(places, n)) == list(range(n))


def test_formula_completed_drops_duplicates_and_appends_what_is_missing():
    assert completed([2, 2, 9, -1, 0], 4) == [2, 0, 1, 3]


@pytest.mark.parametrize(
    ("reply", "places"),
    [
        ("[2] > [1] > [3]", [1, 0, 2]),
        ("The 3 best of 20 are: [2] > [1]", [1, 0]),
        ("2 > 1, 3", [1, 0, 2]),
        ("[PASSAGE3, PASSAGE1]", [2, 0]),
        ("PASSAGE3 then PASSAGE1", [2, 0]),
        ('I read "(3) > (1)" there, so 2, 1', [1, 0]),
        ("<think>[9] > [8]?</think>[1] > [2]", [0, 1]),
        ("<think>[9] > [8]", None),
        ("0.95 is the version v2", None),
        ("I cannot say.", None),
    ],
)
def test_a_reply_is_read(reply, places):
    assert read_ranking(reply) == places
