"""Korean particles after every kind of sound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.world.particles import ending, particle, resolve

VOWEL, L, CONSONANT = "나무", "교실", "학생"


@pytest.mark.parametrize(
    ("mark", "vowel", "l", "consonant"),
    [
        ("은(는)", "는", "은", "은"),
        ("이(가)", "가", "이", "이"),
        ("을(를)", "를", "을", "을"),
        ("과(와)", "와", "과", "과"),
        ("(으)로", "로", "로", "으로"),
        ("(이)다", "다", "이다", "이다"),
        ("(이)라고", "라고", "이라고", "이라고"),
        ("(이)었다", "였다", "이었다", "이었다"),
    ],
)
def test_formula_each_particle_after_each_ending(mark, vowel, l, consonant):  # noqa: E741
    assert resolve(VOWEL + mark) == VOWEL + vowel
    assert resolve(L + mark) == L + l
    assert resolve(CONSONANT + mark) == CONSONANT + consonant


@pytest.mark.parametrize(
    ("digit", "read"),
    [
        ("0", "영"), ("1", "일"), ("2", "이"), ("3", "삼"), ("4", "사"),
        ("5", "오"), ("6", "육"), ("7", "칠"), ("8", "팔"), ("9", "구"),
    ],
)  # fmt: skip
def test_equals_a_digit_takes_the_particles_of_the_word_it_is_read_as(digit, read):
    for mark in ("은(는)", "이(가)", "을(를)", "과(와)", "(으)로", "(이)"):
        assert resolve(digit + mark)[1:] == resolve(read + mark)[1:]
        assert resolve(f"1,2{digit}" + mark).endswith(resolve(read + mark)[1:])


@pytest.mark.parametrize("number", ["10", "200", "3,000", "40,000", "500,000,000"])
def test_a_round_number_ends_in_a_consonant(number):
    assert resolve(f"{number}(으)로") == f"{number}으로"


@pytest.mark.parametrize(
    ("word", "read"),
    [
        ("URL", "엘"), ("FM", "엠"), ("LAN", "엔"), ("KBS", "에스"), ("CPU", "유"), ("A", "에이"), ("X", "엑스"),
        ("Book", "북"), ("Kabot", "카봇"), ("Mobil", "모빌"), ("Tom", "톰"), ("Kim", "킴"), ("Hong Kong", "콩"),
        ("Bus", "버스"), ("Kabo", "카보"), ("David", "데이비드"), ("Peter", "피터"),
    ],
)  # fmt: skip
def test_equals_a_latin_word_takes_the_particles_of_its_sound(word, read):
    for mark in ("은(는)", "을(를)", "(으)로"):
        assert resolve(word + mark).removeprefix(word) == resolve(read + mark).removeprefix(read)


def test_brackets_and_quotes_are_not_heard():
    assert resolve("『고요한 강』은(는)") == "『고요한 강』은"
    assert resolve("『고요한 바다』은(는)") == "『고요한 바다』는"
    assert resolve("“서울”(으)로 (서울)(으)로") == "“서울”로 (서울)로"


def test_formula_a_particle_heeds_the_one_before_it():
    assert resolve("가람과(와) 나비은(는)") == "가람과 나비는"
    assert resolve("이(가)") == "가" and resolve("") == "" and ending("") == ending("!?") == "vowel"


def test_formula_final_consonants_of_hangul():
    assert [ending(word) for word in ("가", "갈", "각", "힣")] == ["vowel", "l", "consonant", "consonant"]
    assert particle("(으)로", "l") == particle("(으)로", "vowel") == "로"


@given(st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1, max_size=5))
def test_property_particles_agree_with_each_other(word):
    topic, subject = resolve(word + "은(는)")[-1], resolve(word + "이(가)")[-1]
    assert (topic == "는") == (subject == "가") == (resolve(word + "과(와)")[-1] == "와")
    assert resolve(word) == word
