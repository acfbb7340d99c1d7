import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.formats.fields import Malformed
from espalier.formats.trl import convert, detect

ASKED = {"role": "user", "content": "hi"}


def said(content):
    return {"role": "assistant", "content": content}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "p", "completion": "c"},
        {"prompt": [ASKED], "completion": [said("c")]},
        {"prompt": [ASKED], "completion": "c"},
        {"prompt": "p", "chosen": "a", "rejected": "b"},
        {"prompt": [ASKED], "chosen": [said("a")], "rejected": [said("b")]},
        {"prompt": "p", "chosen": [said("a")], "rejected": [said("b")]},
        {"prompt": "", "completion": ""},
    ],
)
def test_fields_that_are_canonical_already_stay_as_they_are(row):
    assert detect(row)
    assert convert(row) == row


@pytest.mark.parametrize("prompt", [{}, {"prompt": "hi"}, {"prompt": [ASKED]}])
def test_a_prompt_repeated_in_the_answers_is_split_off(prompt):
    row = prompt | {"chosen": [ASKED, said("a")], "rejected": [ASKED, said("b")]}
    assert convert(row) == {"prompt": [ASKED], "chosen": [said("a")], "rejected": [said("b")]}


def test_an_implicit_prompt_of_texts_cuts_no_word():
    row = {"chosen": "The sky is green.", "rejected": "The sky is great."}
    assert convert(row) == {"prompt": "The sky is", "chosen": " green.", "rejected": " great."}
    assert convert({"chosen": "天空是蓝色", "rejected": "天空是绿色"})["prompt"] == ""


@given(st.text(" ab\n"), st.text(" ab\n"))
def test_property_prompt_and_answer_give_the_text_back(chosen, rejected):
    pair = convert({"chosen": chosen, "rejected": rejected})
    assert pair["prompt"] + pair["chosen"] == chosen
    assert pair["prompt"] + pair["rejected"] == rejected


def test_equals_trl_where_the_difference_follows_a_space():
    data_utils = pytest.importorskip("trl.data_utils")
    texts = {"chosen": "The sky is blue.", "rejected": "The sky is green."}
    turns = {"chosen": [ASKED, said("a")], "rejected": [ASKED, said("b")]}
    assert convert(texts) == data_utils.extract_prompt(texts)
    assert convert(turns) == data_utils.extract_prompt(turns)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "p"}, "missing 'completion'"),
        ({"completion": "c"}, "missing 'prompt'"),
        ({"prompt": "p", "chosen": "a"}, "missing 'rejected'"),
        ({"prompt": "p", "rejected": "b"}, "missing 'chosen'"),
        ({"prompt": "p", "completion": 42}, "'completion' is not text"),
        ({"prompt": "p", "completion": [ASKED]}, "'completion' is not an answer"),
        ({"prompt": "p", "chosen": "a", "rejected": [said("b")]}, "'chosen' and 'rejected' differ in form"),
        ({"chosen": [said("a")], "rejected": [said("b")]}, "missing 'prompt'"),
        ({"prompt": [ASKED], "chosen": [ASKED], "rejected": [said("b")]}, "'chosen' is not an answer"),
    ],
)
def test_malformed(row, reason):
    with pytest.raises(Malformed) as caught:
        convert(row)
    assert caught.value.reason == reason
