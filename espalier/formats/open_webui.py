"""Open WebUI feedback: `data.rating` (1 or -1) of the message `meta.message_id` in the conversation `snapshot.chat`.

The conversation is a tree, for every question may be asked and answered again: the prompt is what leads from the first
message to the rated one, under the conversation's own system message. Reasoning is left off the answers, and a record
without a rating is left out. The user's name is not kept; `chat` and `model` are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from espalier.formats.fields import Fields, LeftOut, Malformed, Message, messages, split_answer

TITLE = "Open WebUI feedback"
FIELDS = frozenset({"data", "meta", "snapshot", "user", "user_id"})

_REASONING = re.compile(r'<details type="reasoning".*?</details>\s*', re.DOTALL)


def detect(row: Fields) -> bool:
    """What was said of a message, and the conversation it stands in."""
    return {"data", "meta", "snapshot"} <= row.keys() and isinstance(row["data"], Mapping)


def convert(row: Fields) -> dict[str, Any]:
    """A rated answer."""
    label = rating(row) > 0
    about = {"chat": _inner(row, "meta").get("chat_id"), "model": _inner(row, "data").get("model_id")}
    return answer(row, rated(row)) | {"label": label} | {name: value for name, value in about.items() if value}


def rating(row: Fields) -> int:
    """1 or -1, of a record or of a message's annotation."""
    value = _inner(row, "data").get("rating")
    found = {"1": 1, "-1": -1, "1.0": 1, "-1.0": -1}.get(str(value))
    if value is None:
        raise LeftOut("not rated")
    if found is None:
        raise Malformed("the rating is not 1 or -1", repr(value))
    return found


def rated(row: Fields) -> str:
    """The message that a record rates."""
    name = _inner(row, "meta").get("message_id")
    if not isinstance(name, str):
        raise Malformed("no message is named", "meta.message_id is missing")
    return name


def answer(row: Fields, name: str) -> dict[str, list[Message]]:
    """Prompt and completion that end in a message of the conversation."""
    known = tree(row)
    path: list[Mapping[str, Any]] = []
    at: Any = name
    while at is not None:
        if not isinstance(at, str) or at not in known:
            raise Malformed("a message is not in the conversation", repr(at))
        if len(path) == len(known):
            raise Malformed("the messages go in a circle")
        path.insert(0, known[at])
        at = known[at].get("parentId")
    turns = [_turn(message) for message in path]
    return split_answer(messages({"chat": [*_system(row), *turns]}, "chat"), "the conversation")


def tree(row: Fields) -> dict[str, Mapping[str, Any]]:
    """The messages of a record's conversation by their names."""
    chat = _inner(_inner(row, "snapshot"), "chat")
    history = _inner(_inner(chat, "chat") or chat, "history")
    given = _inner(history, "messages")
    found = {str(name): message for name, message in given.items() if isinstance(message, Mapping)}
    if not found:
        raise Malformed("no conversation", "snapshot.chat has no history.messages")
    return found


def _system(row: Fields) -> list[Message]:
    chat = _inner(_inner(row, "snapshot"), "chat")
    chat = _inner(chat, "chat") or chat
    text = _inner(chat, "params").get("system") or chat.get("system")
    return [{"role": "system", "content": text}] if isinstance(text, str) and text.strip() else []


def _turn(message: Mapping[str, Any]) -> Message:
    """A message without what is only for the screen."""
    content = message.get("content")
    if isinstance(content, str) and message.get("role") == "assistant":
        content = _REASONING.sub("", content)
    if message.get("error"):
        raise Malformed("a message is an error")
    if isinstance(content, str) and not content.strip():
        raise Malformed("a message is empty")
    return {"role": message.get("role"), "content": content}


def _inner(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table inside a table; empty where there is none."""
    found = row.get(name)
    return found if isinstance(found, Mapping) else {}
