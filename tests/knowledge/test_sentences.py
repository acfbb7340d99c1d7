from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.knowledge.chunks import sentences


@pytest.mark.parametrize(
    "whole",
    [
        ["Mr. Smith paid 3.5 dollars.", "He left."],
        ["It rained, e.g. on Monday.", "Then it stopped!", "Did it?", "Yes."],
        ["She moved to the U.S. Army base.", "It was far."],
        ["He lives in the U.S.", "She does not."],
        ["J. R. R. Tolkien wrote it.", 'He said "stop."', "Then he went."],
        ["See Fig. 3 for more.", "I said no.", "John left."],
        ["Dr. Kim (Ph.D. in law) met Prof. Lee at 5 p.m. on Jan. 3.", "Good."],
        ["Wait... what?", "“Really!” he said.", "Fine."],
        ["It was in 1990.", "Then came 1991."],
        ["서울은 수도이다.", "한강이 흐른다.", "맞나요?", "네."],
        ["北京是首都。", "人口很多！", "「你好。」", "真的吗？"],
        ["東京は首都です。", "大きいです。"],
        ["No stop at the end"],
    ],
)
def test_sentences_of_a_line(whole):
    text = " ".join(whole)
    assert [text[a:b] for a, b in sentences(text)] == whole


def test_stops_without_a_space():
    text = "그는 갔다.그녀는 남았다.값은 3.5이다"
    assert [text[a:b] for a, b in sentences(text)] == ["그는 갔다.", "그녀는 남았다.", "값은 3.5이다"]
    text = "北京是首都。人口很多！是吗"
    assert [text[a:b] for a, b in sentences(text)] == ["北京是首都。", "人口很多！", "是吗"]


def test_a_line_break_ends_a_sentence_unless_the_next_word_had_no_room():
    wrapped = "The committee of the city met on\nMonday in the old town hall and\nleft. It came back."
    assert [wrapped[a:b] for a, b in sentences(wrapped)] == [wrapped[: wrapped.index(" It")], "It came back."]
    facts = "Area: 12 sq km (2023 est.)\nPopulation: 9 million of which most live in the capital\nCapital: Kastel"
    assert [facts[a:b] for a, b in sentences(facts)] == facts.split("\n")
    steps = "Do this:\n1. Open it\n2. Close it again after a while\n- done\n\nA new paragraph"
    assert [steps[a:b] for a, b in sentences(steps)] == [line for line in steps.split("\n") if line]
    headed = "# A heading\nlower case text"
    assert [headed[a:b] for a, b in sentences(headed)] == headed.split("\n")


@given(st.text(alphabet="aB1 .!?。\n다\"'(-U한", max_size=80))
def test_property_sentences_hold_everything_but_spaces(text):
    spans = sentences(text)
    joined = "".join(text[a:b] for a, b in spans)
    assert "".join(joined.split()) == "".join(text.split())
    assert all(text[a:b] == text[a:b].strip() != "" for a, b in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
