"""Words of a text that other texts do not have: of spaced and unspaced scripts, numbers and names alone."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.support import unsupported

TOLD = ["Belmi Dorvan was born in Kastel in 1,874.", "벨미는 카스텔의 마을에서 태어났다.", "贝尔米出生于卡斯特尔。"]


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("Born in Kastel: Dorvan.", []),
        ("She was bornee in Kastel, too.", ["bornee", "too"]),
        ("Belmi Torvan was born in 1874 and 1875.", ["Torvan", "1875"]),
        ("New York made it.", ["New York made"]),
        ("However, he was born there.", []),
        ("벨미가 카스텔에서 태어났습니다.", []),
        ("벨미는 부산에서 태어났다.", ["부산에서"]),
        ("贝尔米出生在卡斯特尔。", []),
        ("贝尔米出生在北京。", ["在北京"]),
        ("", []),
    ],
)
def test_formula_words_that_no_source_has(text, new):
    assert [text[slice(*span)] for span in unsupported(text, TOLD)] == new


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("However, the mayor was Torvan.", ["Torvan"]),
        ("Torvan lives here. Hidal Race won 3 times.", ["Hidal Race", "3"]),
        ("We saw the US in May.", ["US", "May"]),
        ("Hidal is big.", []),  # the first word of a sentence may be any word
        ("I saw Hidal-Ruvan.", ["Hidal-Ruvan"]),
    ],
)
def test_formula_numbers_and_names(text, new):
    assert [text[slice(*span)] for span in unsupported(text, TOLD, names=True)] == new


@given(st.text(st.sampled_from("ab 1.,-A가각中文é\n"), max_size=30), st.booleans())
def test_property_a_text_supports_itself_and_spans_are_apart(text, names):
    assert unsupported(text, [text], names=names) == []
    spans = unsupported(text, [], names=names)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(first[1] < second[0] for first, second in itertools.pairwise(spans))
