import pytest

from espalier.formats.fields import Malformed
from espalier.formats.messages import convert, detect

ASKED = {"role": "user", "content": "hi"}


def said(content):
    return {"role": "assistant", "content": content}


def test_a_conversation():
    row = {"messages": [ASKED, said("yes")], "tools": [{"name": "f"}]}
    assert detect(row)
    assert convert(row) == {
        "messages": [ASKED, said("yes")],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }


def test_two_conversations_are_split_at_the_last_common_turn():
    row = {"chosen_messages": [ASKED, said("good")], "rejected_messages": [ASKED, said("bad")]}
    assert detect(row)
    assert convert(row) == {"prompt": [ASKED], "chosen": [said("good")], "rejected": [said("bad")]}


def test_a_rated_answer():
    rated = convert({"messages": [ASKED, said("yes")], "label": False})
    assert rated == {"prompt": [ASKED], "completion": [said("yes")], "label": False}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "missing 'messages'"),
        ({"chosen_messages": [ASKED, said("good")]}, "missing 'rejected_messages'"),
        ({"messages": [ASKED], "label": True}, "'messages' is not an answer"),
    ],
)
def test_malformed(row, reason):
    with pytest.raises(Malformed) as caught:
        convert(row)
    assert caught.value.reason == reason
