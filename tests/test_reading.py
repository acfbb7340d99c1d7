"""Reading from passages: labels on sentences, and replies made and taken apart."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier import reading

PASSAGES = [
    ("Belmi Dorvan", "Belmi Dorvan was born in Kastel.\n\nBelmi  Dorvan worked as a mason."),
    ("", "# Notes\n- Kastel is old."),
]


def test_each_sentence_has_a_label_and_a_line_of_its_own():
    assert reading.prompt("Where was  he born?", PASSAGES, instruction="Read.").splitlines() == [
        "Read.",
        "[1] Belmi Dorvan",
        "[1a] Belmi Dorvan was born in Kastel.",
        "[1b] Belmi Dorvan worked as a mason.",
        "[2]",
        "[2a] Notes",
        "[2b] Kastel is old.",
        "Question: Where was he born?",
    ]


def test_closed_book_asks_nothing_but_the_question():
    assert reading.prompt("Where?", []) == "Question: Where?"


def test_a_reply_carries_the_labels_of_what_was_shown_and_loses_them_when_read():
    quotes = ("Kastel is old.", "Belmi Dorvan worked as a mason.")
    text = reading.reply("yes", quotes, PASSAGES)
    assert text == "Quote: [2b] Kastel is old.\nQuote: [1b] Belmi Dorvan worked as a mason.\nAnswer: yes"
    assert reading.read(text) == reading.Reading("yes", quotes)


def test_a_quote_that_was_not_shown_has_no_label():
    assert reading.reply("yes", ["Else."], PASSAGES) == "Quote: Else.\nAnswer: yes"


@pytest.mark.parametrize(
    ("text", "answer", "quotes", "abstained"),
    [
        ("Answer: not stated", "not stated", (), True),
        ("Answer: Not stated.", "Not stated.", (), True),
        ("Quote: x\nAnswer: a\nAnswer: b", "b", ("x",), False),
        ("It was\nKastel.", "It was Kastel.", (), False),
        ("Quote: x\nAnswer: two:\n- Kastel\n\n  - Ostria \n", "two:\n- Kastel\n\n  - Ostria", ("x",), False),
        ("Answer:\nKastel", "Kastel", (), False),
        ("Answer: a\nmore\nAnswer: b\nQuote: y\nlast", "b\nlast", ("y",), False),
        ("Answer: a\nQuestion: Why?\nAnswer: b", "a", (), False),
        ("Question: Why?\nAnswer: b", "b", (), False),
        ("Answer: not stated.\nThe passages are about tea.", "not stated.\nThe passages are about tea.", (), True),
        ("Quote: [12] x", "", ("x",), True),
        ("", "", (), True),
    ],
)
def test_whatever_a_model_writes_is_taken_apart(text, answer, quotes, abstained):
    found = reading.read(text)
    assert (found.answer, found.quotes, found.abstained) == (answer, quotes, abstained)


def test_a_short_answer_is_the_first_line_of_a_long_one():
    assert reading.read("Answer: 5.\nFor 2 + 3 = 5.").short == "5." and reading.read("").short == ""


def test_spans_are_those_of_the_labels():
    text = " ".join(f"This is sentence {number} of many." for number in range(40))
    spans = reading.spans(text)
    assert [" ".join(text[start:end].split()) for start, end in spans] == [one for _, one in reading.labeled(1, text)]
    assert len(spans) == 26 and reading.spans("") == []


def test_what_comes_after_the_last_letter_belongs_to_it():
    found = reading.labeled(3, " ".join(f"This is sentence {number} of many." for number in range(40)))
    assert [label for label, _ in found] == [f"3{letter}" for letter in string.ascii_lowercase]
    assert found[-1][1].endswith("This is sentence 39 of many.")


@given(st.lists(st.text(max_size=60), max_size=4))
def test_property_no_passage_can_write_a_line_that_is_not_its_own(texts):
    lines = reading.prompt("Where?", [(text, text) for text in texts]).splitlines()
    kept = [line for line in lines if line.startswith("[") or line in (reading.INSTRUCTION, "Question: Where?")]
    assert lines == kept
    assert sum(line.startswith("Question:") for line in lines) == 1
