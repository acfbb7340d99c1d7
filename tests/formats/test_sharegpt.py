import pytest

from espalier.formats.fields import Malformed
from espalier.formats.sharegpt import convert, detect

ASKED = {"from": "human", "value": "hi"}
USER = {"role": "user", "content": "hi"}


def test_a_conversation_with_system_and_tools():
    row = {"conversations": [ASKED, {"from": "gpt", "value": "yes"}], "system": "Be kind.", "tools": '[{"name": "f"}]'}
    assert detect(row)
    assert convert(row) == {
        "messages": [{"role": "system", "content": "Be kind."}, USER, {"role": "assistant", "content": "yes"}],
        "tools": [{"type": "function", "function": {"name": "f"}}],
    }


@pytest.mark.parametrize("spell", [lambda said: {"from": "gpt", "value": said}, lambda said: said])
def test_a_preference_pair(spell):
    row = {"conversations": [ASKED], "chosen": spell("good"), "rejected": spell("bad")}
    assert convert(row) == {
        "prompt": [USER],
        "chosen": [{"role": "assistant", "content": "good"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
    }


def test_a_rated_answer_and_a_label_of_another_sort():
    turns = [ASKED, {"from": "gpt", "value": "yes"}]
    rated = convert({"conversations": turns, "label": True})
    assert rated == {"prompt": [USER], "completion": [{"role": "assistant", "content": "yes"}], "label": True}
    assert set(convert({"conversations": turns, "label": "sports"})) == {"messages"}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({}, "missing 'conversations'"),
        ({"conversations": [ASKED], "chosen": "good"}, "missing 'rejected'"),
        (
            {"conversations": [ASKED], "chosen": {"from": "human", "value": "x"}, "rejected": "b"},
            "'chosen' is not an answer",
        ),
        (
            {"conversations": [ASKED, {"from": "gpt", "value": "a"}], "chosen": "a", "rejected": "b"},
            "'conversations' ends in an answer",
        ),
        ({"conversations": [ASKED], "label": True}, "'conversations' is not an answer"),
    ],
)
def test_malformed(row, reason):
    with pytest.raises(Malformed) as caught:
        convert(row)
    assert caught.value.reason == reason
