import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.formats.fields import Malformed, common, encodable, messages, split_answer, split_turns, text, tools

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def turn(role, content="x"):
    return {"role": role, "content": content}


def test_text_says_what_is_wrong():
    assert text({"output": "yes"}, "output") == "yes"
    assert text({"output": None}, "output", "") == ""
    with pytest.raises(Malformed, match="missing 'output'"):
        text({}, "output")
    with pytest.raises(Malformed, match=r"'output' is not text \(bool True"):
        text({"output": True}, "output")
    with pytest.raises(Malformed, match="'output' is not valid Unicode"):
        text({"output": "half \ud83d"}, "output")


def test_encodable_finds_half_a_surrogate_pair():
    assert encodable("한국어 中文 😀")
    assert not encodable("a\udc80")


def test_messages_map_every_spelling_of_roles():
    given_turns = [{"from": tag, "value": "v"} for tag in ("system", "human", "gpt", "observation", "gpt")]
    roles = [message["role"] for message in messages({"conversations": given_turns}, "conversations")]
    assert roles == ["system", "user", "assistant", "tool", "assistant"]


def test_messages_join_parts_and_keep_what_they_do_not_know():
    parts = [{"type": "reasoning", "text": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "value": "b"}]
    (message,) = messages({"messages": [turn("assistant", parts) | {"name": "Bo", "audio": None}]}, "messages")
    assert message == {"role": "assistant", "content": "ab", "name": "Bo", "reasoning_content": "hm"}


@pytest.mark.parametrize("mark", ["train", "loss_weight", "weight"])
def test_messages_mark_answers_that_are_not_trained(mark):
    turns = [turn("user") | {mark: 0.0}, turn("assistant") | {mark: 0.0}, turn("assistant") | {mark: 1.0}]
    assert messages({"m": turns}, "m") == [turn("user"), turn("assistant") | {"train": False}, turn("assistant")]


def test_messages_bring_tool_calls_into_one_form():
    call = {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
    spellings = [
        {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 1}}'},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "add", "arguments": '{"a": 1}'}}]},
        {"role": "assistant", "content": None, "function_call": {"name": "add", "arguments": '{"a": 1}'}},
    ]
    assert messages({"m": spellings}, "m") == [turn("assistant", "") | {"tool_calls": [call]}] * 3


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("hello", "'m' is not a list of messages"),
        (["hello"], "'m' is not a list of messages"),
        ([], "'m' is empty"),
        ([{"role": "wizard", "content": "x"}], "unknown role"),
        ([{"content": "x"}], "unknown role"),
        ([{"role": "user"}], "a message without content"),
        ([{"role": "user", "content": None}], "a message without content"),
        ([{"role": "user", "content": 5}], "content is not text"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": "u"}]}], "content is not text"),
        ([{"from": "function_call", "value": "not json"}], "bad tool call"),
        ([{"from": "function_call", "value": '{"arguments": {}}'}], "bad tool call"),
        ([{"from": "function_call", "value": '{"name": "f", "arguments": [1]}'}], "bad tool call"),
        ([{"from": "function_call", "value": ""}], "bad tool call"),
    ],
)
def test_messages_that_are_malformed(value, reason):
    with pytest.raises(Malformed) as caught:
        messages({"m": value}, "m")
    assert caught.value.reason == reason


@given(st.dictionaries(st.sampled_from(["role", "from", "content", "value", "tool_calls", "train"]), json_values))
def test_property_any_message_is_read_or_malformed(value):
    try:
        (message,) = messages({"m": [value]}, "m")
    except Malformed as problem:
        assert problem.reason
    else:
        assert isinstance(message["content"], str)
        assert message["role"] in ("system", "user", "assistant", "tool")


def test_tools_are_wrapped_as_functions():
    wrapped = {"tools": [{"type": "function", "function": {"name": "f"}}]}
    assert tools({"tools": '[{"name": "f"}]'}) == tools({"tools": [{"name": "f"}]}) == tools(wrapped) == wrapped
    assert tools({}) == tools({"tools": ""}) == tools({"tools": []}) == {}
    for bad in ("nonsense", "[1]", 5):
        with pytest.raises(Malformed, match="bad 'tools'"):
            tools({"tools": bad})


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_property_common_is_the_longest_common_beginning(left, right):
    shared = common(left, right)
    assert left[:shared] == right[:shared]
    assert left[: shared + 1] != right[: shared + 1] or shared == min(len(left), len(right))


def test_split_turns_ends_the_prompt_before_an_answer():
    head = [turn("user", "q1"), turn("assistant", "a1"), turn("user", "q2")]
    split = split_turns([*head, turn("assistant", "yes")], [*head, turn("assistant", "no")])
    assert split == {"prompt": head, "chosen": [turn("assistant", "yes")], "rejected": [turn("assistant", "no")]}


def test_split_turns_where_the_difference_starts_earlier():
    chosen = [turn("user"), turn("assistant", "a"), turn("user", "q"), turn("assistant", "b")]
    rejected = [turn("user"), turn("assistant", "c"), turn("user", "q"), turn("assistant", "d")]
    assert split_turns(chosen, rejected) == {"prompt": chosen[:1], "chosen": chosen[1:], "rejected": rejected[1:]}


def test_split_turns_of_identical_conversations_leaves_them_to_the_audit():
    turns = [turn("user"), turn("assistant", "a")]
    assert split_turns(turns, turns) == {"prompt": turns[:1], "chosen": turns[1:], "rejected": turns[1:]}


@pytest.mark.parametrize(
    ("chosen", "rejected", "reason"),
    [
        ([turn("user", "a"), turn("assistant")], [turn("user", "b"), turn("assistant")], "no turn in common"),
        ([turn("assistant", "a")], [turn("assistant", "a")], "no turn in common"),
        ([turn("system"), turn("user", "a")], [turn("system"), turn("user", "b")], "no turn in common"),
        ([turn("user")], [turn("user"), turn("assistant")], "'chosen' is not an answer"),
        ([turn("user"), turn("assistant")], [turn("user"), turn("user")], "'rejected' is not an answer"),
    ],
)
def test_split_turns_that_cannot_be_a_pair(chosen, rejected, reason):
    with pytest.raises(Malformed) as caught:
        split_turns(chosen, rejected)
    assert caught.value.reason == reason


def test_split_answer_takes_the_last_message():
    assert split_answer([turn("user"), turn("assistant")], "m") == {
        "prompt": [turn("user")],
        "completion": [turn("assistant")],
    }
    with pytest.raises(Malformed, match="'m' is not an answer"):
        split_answer([turn("user")], "m")
    with pytest.raises(Malformed, match="'m' has no prompt"):
        split_answer([turn("assistant")], "m")
