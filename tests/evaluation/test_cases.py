"""Cases: what a row holds decides what is measured."""

import pytest

from espalier import reading
from espalier.contracts import Row
from espalier.errors import RowError
from espalier.evaluation.cases import case_of
from tests.evaluation.tiny import RENDERER

TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "<think>hm</think>Ho"},
]


@pytest.mark.parametrize(
    ("row", "kind", "expected"),
    [
        (Row(prompt="p", completion="c"), "completion", "c"),
        (Row(prompt=TALK[:2], completion=TALK[2:]), "completion", "Ho"),
        (Row(prompt="p", completion="c", answers=["a", "b"]), "completion", "a"),
        (Row(prompt="p", chosen="good", rejected="bad"), "preference", "good"),
        (Row(prompt="p", options=["x", "y"], answer="B"), "options", "y"),
        (Row(prompt="p", options=["B", "A"], answer="B"), "options", "B"),
        (Row(prompt="p", options=["x", "y"], answer=0), "options", "x"),
        (Row(messages=TALK), "messages", "Ho"),
        (Row(text="raw"), "text", ""),
        (Row(prompt="p", answer=42), "prompt", "42"),
        (Row(prompt="p"), "prompt", ""),
        (Row(question="q", answers=["a", "b"], text="t"), "question", "a"),
        (Row(question="q", answer="a"), "question", "a"),
        (Row(question="q", answerable=False), "question", ""),
        (Row(question="q", answers=["a"], prompt="p"), "prompt", "a"),
    ],
)
def test_kind_and_right_answer(row, kind, expected):
    case = case_of(row)
    assert (case.kind, case.expected) == (kind, expected)


def test_a_conversation_is_asked_up_to_its_last_answer():
    case = case_of(Row(messages=[*TALK, {"role": "user", "content": "More"}]))
    assert case.question == "Hi" and case.shown == "system: Be kind.\n\nuser: Hi"
    assert case.start(RENDERER).tolist() == RENDERER.prompt(TALK[:2]).tolist()


def test_options_are_paths_after_one_prompt():
    paths = case_of(Row(prompt="p", options=["x", "yy"], answer=1)).paths(RENDERER)
    assert [RENDERER.decode(path.ids[path.mask]) for path in paths] == ["x", "yy"]


def test_a_question_is_asked_with_its_passages():
    case = case_of(Row(question="Who?", answers=["a"], passages=[{"title": "T", "text": "x"}, "y"]))
    assert case.prompt == reading.prompt("Who?", [("T", "x"), ("", "y")]) and case.shown == case.question == "Who?"
    fewer = case.show(case.passages[:1])
    assert fewer.prompt == reading.prompt("Who?", [("T", "x")]) and fewer.key == case.key


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (Row(completion="c"), "missing 'prompt'"),
        (Row(prompt="p", options=["only"], answer=0), "two or more texts"),
        (Row(prompt="p", options=["x", "y"], answer=2), "neither the number"),
        (Row(prompt="p", options=["x", "y"], answer=True), "neither the number"),
        (Row(prompt="p", options=["x", "y"]), "neither the number"),
        (Row(prompt="p", completion="c", label=False), "labelled as bad"),
        (Row(messages=TALK[:2]), "no assistant message"),
        (Row(question="q"), "missing 'prompt'"),
        (Row(question="q", answers=["a"], passages=["p"], gold=[1]), "'gold' numbers a passage"),
    ],
)
def test_what_cannot_be_measured_says_why(row, reason):
    with pytest.raises(RowError, match=reason):
        case_of(row)


def test_the_key_follows_the_content_and_not_the_place():
    assert case_of(Row({"prompt": "p"}, "a, row 1")).key == case_of(Row({"prompt": "p"}, "b, row 2")).key
    assert case_of(Row(prompt="p")).key != case_of(Row(prompt="q")).key
