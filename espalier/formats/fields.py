"""What the readers share: messages in one spelling, texts that are texts, and the reason a row cannot be read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from espalier.errors import RowError

Fields = Mapping[str, Any]
Message = dict[str, Any]

ROLES = {
    "system": "system", "developer": "system",
    "user": "user", "human": "user",
    "assistant": "assistant", "gpt": "assistant", "chatgpt": "assistant", "model": "assistant", "bot": "assistant",
    "function_call": "assistant",
    "tool": "tool", "function": "tool", "observation": "tool", "function_response": "tool", "ipython": "tool",
}  # fmt: skip


class Malformed(RowError):  # noqa: N818 - a reason, which is kept as often as raised
    """One row that cannot be read: `reason` is a short category that can be counted, `detail` is about this row."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason} ({detail})" if detail else reason)
        self.reason, self.detail = reason, detail


class LeftOut(Malformed):
    """One row that can be read and is not asked for; it is counted apart from what is dropped."""


def encodable(text: str) -> bool:
    """Whether a text is valid Unicode; half a surrogate pair, from a broken file or a JSON escape, is not."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _valid(value: str, name: str) -> str:
    if not encodable(value):
        raise Malformed(f"{name!r} is not valid Unicode", "half of a surrogate pair")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"


def text(row: Fields, name: str, default: str | None = None) -> str:
    """The text in a field; `default` if it is absent and may be."""
    value = row.get(name)
    if value is None and default is not None:
        return default
    if value is None:
        raise Malformed(f"missing {name!r}")
    if not isinstance(value, str):
        raise Malformed(f"{name!r} is not text", _shown(value))
    return _valid(value, name)


def said(role: str, content: str) -> list[Message]:
    """A conversation of one message."""
    return [{"role": role, "content": content}]


def side(row: Fields, name: str) -> str | list[Message]:
    """A field that holds a text or a list of messages."""
    return messages(row, name) if isinstance(row.get(name), list | tuple) else text(row, name)


def messages(row: Fields, name: str) -> list[Message]:
    """A field that holds messages, in the spelling {"role", "content", ...}; accepts ShareGPT's {"from", "value"} too.

    Roles are mapped by `ROLES`; a content given in parts is joined; a `function_call` becomes a `tool_calls` entry with
    its arguments as an object, which is what chat templates read. `loss_weight`, `weight` or `train` of 0 on an
    assistant's message becomes `"train": False`. Everything else on a message is kept.
    """
    value = row.get(name)
    if value is None:
        raise Malformed(f"missing {name!r}")
    if not isinstance(value, list | tuple) or not all(isinstance(turn, Mapping) for turn in value):
        raise Malformed(f"{name!r} is not a list of messages", _shown(value))
    if not value:
        raise Malformed(f"{name!r} is empty")
    return [_message(turn, name) for turn in value]


def _message(turn: Fields, name: str) -> Message:
    rest = {key: value for key, value in turn.items() if value is not None}
    tag = rest.pop("role", None) or rest.pop("from", None)
    if not isinstance(tag, str) or tag.lower() not in ROLES:
        raise Malformed("unknown role", f"{_shown(tag)} in {name!r}; known: {', '.join(ROLES)}")
    role = ROLES[tag.lower()]
    given = rest.pop("content", rest.pop("value", None))
    calls = rest.pop("tool_calls", None) or rest.pop("function_call", None)
    if tag.lower() == "function_call":
        given, calls = "", given or ""
    if given is None and not calls:
        raise Malformed("a message without content", f"the {tag} of {name!r}")
    content, reasoning = _content("" if given is None else given, name)
    marks = [rest.pop(key) for key in ("train", "loss_weight", "weight") if key in rest]
    message: Message = {"role": role, "content": content} | rest
    if reasoning:
        message["reasoning_content"] = reasoning
    if calls or tag.lower() == "function_call":
        message["tool_calls"] = _calls(calls)
    if role == "assistant" and marks and not marks[0]:
        message["train"] = False
    return message


def _content(given: Any, name: str) -> tuple[str, str]:
    """Text and reasoning of a message whose content is a text or a list of typed parts."""
    if isinstance(given, str):
        return _valid(given, name), ""
    parts = {"text": "", "reasoning": ""}
    for part in given if isinstance(given, list | tuple) else [given]:
        kind = str(part.get("type")) if isinstance(part, Mapping) else ""
        piece = (part.get("text") or part.get("value") or "") if kind in parts else None
        if not isinstance(piece, str):
            raise Malformed("content is not text", _shown(part))
        parts[kind] += _valid(piece, name)
    return parts["text"], parts["reasoning"]


def _calls(value: Any) -> list[dict[str, Any]]:
    """Tool calls in the form chat templates read: {"type": "function", "function": {"name", "arguments": object}}."""
    found = _parsed(value, "bad tool call")
    calls = []
    for call in found if isinstance(found, list) else [found]:
        function = call.get("function", call) if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            raise Malformed("bad tool call", _shown(call))
        arguments = _parsed(function.get("arguments") or {}, "bad tool call")
        if not isinstance(arguments, Mapping):
            raise Malformed("bad tool call", "the arguments are not an object")
        identity = {"id": call["id"]} if call.get("id") else {}
        calls.append(identity | {"type": "function", "function": {"name": function["name"], "arguments": arguments}})
    return calls


def _parsed(value: Any, reason: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as problem:
        raise Malformed(reason, str(problem)) from None


def tools(row: Fields) -> dict[str, Any]:
    """The row's tools as {"tools": [{"type": "function", "function": {...}}]}, or {} if it has none."""
    found = _parsed(row.get("tools") or [], "bad 'tools'")
    listed = [found] if isinstance(found, Mapping) else found
    if not isinstance(listed, list) or not all(isinstance(tool, Mapping) for tool in listed):
        raise Malformed("bad 'tools'", _shown(found))
    wrapped = [dict(tool) if "function" in tool else {"type": "function", "function": dict(tool)} for tool in listed]
    return {"tools": wrapped} if wrapped else {}


def common(left: Sequence[Any], right: Sequence[Any]) -> int:
    """The length of the common beginning."""
    differ = (at for at, (one, other) in enumerate(zip(left, right, strict=False)) if one != other)
    return next(differ, min(len(left), len(right)))


def split_turns(chosen: Sequence[Message], rejected: Sequence[Message]) -> dict[str, list[Message]]:
    """Two conversations as prompt, chosen and rejected: split at the last turn they share that is not an answer.

    Conversations that share everything give the same last answer twice, for the audit to find.
    """
    shared = common(chosen, rejected)
    while shared and chosen[shared - 1]["role"] == "assistant":
        shared -= 1
    prompt = list(chosen[:shared])
    if not prompt or prompt[-1]["role"] == "system":
        raise Malformed("no turn in common", "chosen and rejected answer different questions")
    answers = {"chosen": list(chosen[shared:]), "rejected": list(rejected[shared:])}
    for name, turns in answers.items():
        _check_answer(turns, name)
    return {"prompt": prompt, **answers}


def split_answer(turns: Sequence[Message], name: str) -> dict[str, list[Message]]:
    """A conversation as prompt and completion, its last message."""
    _check_answer(turns[-1:], name)
    if len(turns) < 2:
        raise Malformed(f"{name!r} has no prompt", "only an answer")
    return {"prompt": list(turns[:-1]), "completion": list(turns[-1:])}


def answer(value: str | list[Message], name: str) -> str | list[Message]:
    """`value`, if it is a text or begins and ends with a turn of the assistant."""
    if not isinstance(value, str):
        _check_answer(value, name)
    return value


def _check_answer(turns: Sequence[Message], name: str) -> None:
    if not turns or turns[0]["role"] != "assistant" or turns[-1]["role"] != "assistant":
        said = " ".join(turn["role"] for turn in turns) or "nothing"
        raise Malformed(f"{name!r} is not an answer", f"an assistant's turn is expected, found {said}")
