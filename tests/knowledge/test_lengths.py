import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.knowledge.lengths import Measure


def words(text):
    return len(text.split())


def test_characters_and_what_a_function_counts():
    text = "one two  three"
    assert (Measure(text)(4, 14), Measure(text, words)(4, 14)) == (10, 2)


@given(st.text("ab \u0301", max_size=80), st.integers(0, 20), st.booleans())
def test_property_the_furthest_stretch_fits_and_one_more_does_not(text, limit, is_words):
    measure = Measure(text, words if is_words else None)
    if text:
        stop = measure.furthest(0, len(text), limit)
        assert stop == 1 or measure(0, stop) <= limit
        assert stop == len(text) or measure(0, stop + 1) > limit or text[stop] == "\u0301"
    start = measure.earliest(len(text), 0, limit)
    assert measure(start, len(text)) <= limit
    assert start == 0 or measure(start - 1, len(text)) > limit


@pytest.mark.parametrize("jump", [1, 999, 5000])
def test_a_length_that_jumps_is_found_in_few_steps(jump):
    asked = []

    def length(text):
        asked.append(text)
        return 10**6 * (len(text) >= jump)

    assert Measure("x" * 5000, length).furthest(0, 5000, 10) == max(1, jump - 1)
    assert len(asked) < 30
