"""ShareGPT: `conversations` of {"from", "value"}: system, human, gpt, function_call, observation.

Optionally `system` and `tools`. With `chosen` and `rejected` (a message each) the conversation is the prompt of a
preference pair; with a true or false `label` its last message is a rated answer.
"""

from __future__ import annotations

from typing import Any

from espalier.formats.fields import Fields, Malformed, answer, messages, said, side, split_answer, text, tools

TITLE = "ShareGPT"
FIELDS = frozenset({"conversations", "system"})


def detect(row: Fields) -> bool:
    """A column of conversations."""
    return "conversations" in row


def convert(row: Fields) -> dict[str, Any]:
    """Messages, a preference pair or a rated answer."""
    turns, system = messages(row, "conversations"), text(row, "system", "")
    if system and turns[0]["role"] != "system":
        turns = said("system", system) + turns
    if "chosen" in row or "rejected" in row:
        if turns[-1]["role"] == "assistant":
            raise Malformed("'conversations' ends in an answer", "chosen and rejected are the answers")
        return {"prompt": turns, "chosen": _answer(row, "chosen"), "rejected": _answer(row, "rejected")} | tools(row)
    if isinstance(row.get("label"), bool):
        return split_answer(turns, "conversations") | {"label": row["label"]} | tools(row)
    return {"messages": turns} | tools(row)


def _answer(row: Fields, name: str) -> Any:
    """One message, several, or a text."""
    found = side({name: [row[name]]} if isinstance(row.get(name), dict) else row, name)
    return said("assistant", found) if isinstance(found, str) else answer(found, name)
