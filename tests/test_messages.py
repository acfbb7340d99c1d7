"""Messages as data brings them: names of reasoning, parts, tool calls, and what is no message."""

from typing import Any

import pytest

from espalier.errors import RowError
from espalier.messages import answer_of, clean, parts_of, reasoning_of, text_of, thought
from espalier.tokens import alternatives

NONE = alternatives([])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<think>\nwhy\n</think>\n\nso", ("why", "so")),
        ("why</think>so", ("why", "so")),
        ("<think></think>so", ("", "so")),
        ("so", ("", "so")),
        ("first <think>why</think> so", ("", "first <think>why</think> so")),
        ("<think>never closed", ("", "<think>never closed")),
    ],
)
def test_thought_and_what_follows(text: str, expected: tuple[str, str]) -> None:
    assert thought(text) == expected


@pytest.mark.parametrize("key", ["reasoning_content", "thinking", "reasoning"])
def test_reasoning_has_several_names(key: str) -> None:
    message = {"role": "assistant", "content": "so", key: " why\n"}
    assert reasoning_of(message) == ("why", "so")
    (kept,) = clean([message], reasoning=True, control=NONE)
    assert kept["reasoning_content"] == kept["thinking"] == "why"
    (dropped,) = clean([message], reasoning=False, control=NONE)
    assert dropped == {"role": "assistant", "content": "so"}


def test_clean_drops_what_templates_stumble_on() -> None:
    message = {"role": "assistant", "content": "<think>why</think>so", "tool_calls": None, "train": False}
    assert clean([message], reasoning=False, control=NONE) == [{"role": "assistant", "content": "so"}]
    user = {"role": "user", "content": "<think>mine</think>"}
    assert clean([user], reasoning=False, control=NONE) == [user]


def test_arguments_of_a_tool_call_become_a_table() -> None:
    for call in ({"name": "f", "arguments": '{"a": 1}'}, {"function": {"name": "f", "arguments": '{"a": 1}'}}):
        (kept,) = clean([{"role": "assistant", "tool_calls": [call]}], reasoning=True, control=NONE)
        (written,) = kept["tool_calls"]
        assert written.get("function", written) == {"name": "f", "arguments": {"a": 1}}
        assert ("tool call", "f") in list(parts_of(kept, thinking=False))
    odd = {"name": "f", "arguments": "no json"}
    (kept,) = clean([{"role": "assistant", "tool_calls": [odd]}], reasoning=True, control=NONE)
    assert kept["tool_calls"] == [odd]


def test_content_in_parts() -> None:
    message = {"role": "assistant", "content": [{"type": "text", "text": "a "}, {"type": "text", "text": "b"}]}
    assert text_of(message) == answer_of([message]) == "a b"
    assert list(parts_of(message, thinking=True)) == [("reasoning", ""), ("content", "a"), ("content", "b")]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("hello", "message 1 is not a table"),
        ({"content": "a"}, "message 1 is not a table with 'role'"),
        ({"role": "user", "content": 3}, "message 1: 'content' is 3"),
        ({"role": "assistant", "tool_calls": ["f()"]}, r"message 1: a tool call is 'f\(\)'"),
    ],
)
def test_what_is_no_message(message: Any, said: str) -> None:
    with pytest.raises(RowError, match=said):
        clean([message], reasoning=True, control=NONE)
