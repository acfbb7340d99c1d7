"""OpenAI chat: `messages` of {"role", "content"}, the content a text or a list of text parts; optionally `tools`.

With a true or false `label` the last message is a rated answer. `chosen_messages` and `rejected_messages`, two whole
conversations, make a preference pair that is split at the last common turn.
"""

from __future__ import annotations

from typing import Any

from espalier.formats.fields import Fields, messages, split_answer, split_turns, tools

TITLE = "OpenAI messages"
FIELDS = frozenset({"messages", "chosen_messages", "rejected_messages"})


def detect(row: Fields) -> bool:
    """A column of messages, or a pair of them."""
    return "messages" in row or {"chosen_messages", "rejected_messages"} <= row.keys()


def convert(row: Fields) -> dict[str, Any]:
    """Messages, a preference pair or a rated answer."""
    if "chosen_messages" in row or "rejected_messages" in row:
        return split_turns(messages(row, "chosen_messages"), messages(row, "rejected_messages")) | tools(row)
    turns = messages(row, "messages")
    if isinstance(row.get("label"), bool):
        return split_answer(turns, "messages") | {"label": row["label"]} | tools(row)
    return {"messages": turns} | tools(row)
