"""Names nobody bears."""

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import RecipeError
from espalier.world.names import CLOSED, HANGUL, OPEN, Names, in_hangul, split_of, syllables

built = st.tuples(st.lists(st.sampled_from(OPEN), max_size=3), st.sampled_from(CLOSED)).map(lambda t: [*t[0], t[1]])


@given(built)
def test_property_a_word_is_taken_apart_as_it_was_built(parts):
    assert syllables("".join(parts).capitalize()) == parts


@given(st.sampled_from(CLOSED), st.sampled_from(CLOSED))
def test_property_two_closed_syllables_too(first, second):
    assert syllables(first + second) == [first, second]


@given(built, built)
def test_property_hangul_tells_names_apart(one, other):
    spelled = ["".join(parts).capitalize() for parts in (one, other)]
    assert (spelled[0] == spelled[1]) == (in_hangul(spelled[0]) == in_hangul(spelled[1]))


def test_formula_hangul_is_composed_of_onset_vowel_and_final():
    assert in_hangul("Kabim Tenmem") == "카빔 텐멤"
    assert in_hangul("Sudul Jiran") == "수둘 지란"
    assert HANGUL["a"] == "아" and HANGUL["his"] == "힛"
    assert all(re.fullmatch("[가-힣]", syllable) for syllable in HANGUL.values())


@pytest.mark.parametrize("name", ["Wxyz", "Espalier", "Kabim-Tenmem", "k"])
def test_what_is_no_name_of_the_world_is_refused(name):
    with pytest.raises(ValueError, match="not built of the syllables"):
        in_hangul(name)


def test_names_are_new_and_of_their_split():
    for split in ("train", "dev", "test"):
        names = Names(random.Random(0), split)
        found = [names.new(names.place) for _ in range(200)]
        assert len(set(found)) == 200 and {split_of(name) for name in found} == {split}


def test_eight_names_in_ten_are_for_training():
    names = Names(random.Random(1), "train")
    drawn = [split_of(names.surname()) for _ in range(5000)]
    assert drawn.count("train") / 5000 == pytest.approx(0.8, abs=0.03)
    assert drawn.count("dev") / 5000 == pytest.approx(0.1, abs=0.02)


def test_a_world_that_has_run_out_of_names_says_so():
    names = Names(random.Random(0), "train")
    only = next(name for name in ("Ban", "Bal", "Bam", "Bas") if split_of(name) == "train")
    assert names.new(lambda: only) == only
    with pytest.raises(RecipeError, match="no more names; ask for a smaller one"):
        names.new(lambda: only)
