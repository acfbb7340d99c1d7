"""Questions put to strategies."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espalier.contracts import Answer, Citation, Hit
from espalier.reading import read
from espalier.serve.requests import RequestError
from espalier.serve.solving import Spoken, question_of, solve
from espalier.serve.sources import unmarked


def user(text):
    return {"role": "user", "content": text}


@settings(max_examples=40)
@given(st.lists(st.sampled_from(["Answer:", "Quote:", "\n", " ", "a", "[1]", "[", "1a", "]", "Kastel."]), max_size=14))
def test_property_what_was_shown_while_it_was_written_ends_as_the_answer(parts):
    spoken = Spoken()
    shown = "".join(spoken.add(part) for part in parts)
    answer = read("".join(parts)).answer
    whole = shown + spoken.rest(answer)
    assert whole == unmarked(answer) or whole.endswith(f"\n{unmarked(answer)}")  # the reply had two answers


def test_the_answer_is_shown_while_it_is_written():
    spoken = Spoken()
    assert [spoken.add(piece) for piece in ["Quote: x", "\nAnsw", "er: In ", "Kas", "tel [", "1]."]] == [
        "", "", "In", " Kas", "tel", " (1)."
    ]  # fmt: skip
    assert spoken.rest("In Kastel [1].") == ""


def test_earlier_turns_stand_before_the_question_and_sources_are_left_out():
    old = [user("Where?"), {"role": "assistant", "content": "In Kastel [1]\n\nSources:\n\n1. [a](http://x): y"}]
    assert question_of([{"role": "system", "content": "s"}, user("Who?")]) == "Who?"
    assert question_of([*old, user("When?")]) == "(Before: Where? In Kastel (1)) When?"
    assert len(question_of([user("x" * 900)] * 9)) < 2300


@pytest.mark.parametrize(
    ("messages", "sentence"),
    [([{"role": "system", "content": "x"}], "no message is the user's"), ([user(" ")], "is empty"),
     ([user("x" * 9000)], "9,000 characters")],
)  # fmt: skip
def test_what_is_no_question_is_refused(messages, sentence):
    with pytest.raises(RequestError, match=sentence):
        question_of(messages)


def test_a_strategy_that_cannot_stream_answers_whole_and_places_are_filled_in():
    class Strategy:
        def solve(self, question):
            return Answer(
                question, (Citation("b", "d", 5, 6, True),), hits=(Hit("d", 1.0, "abc", start=4, place="page 2"),)
            )

    answer = solve(Strategy(), object(), "Who?", say=pytest.fail)
    assert answer.text == "Who?" and answer.citations[0].place == "page 2"
