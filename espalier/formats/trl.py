"""TRL's fields: prompt with completion, with chosen and rejected, or with completion and label; texts or messages.

Chosen and rejected without a prompt share it implicitly: of messages the prompt is all up to the last common turn, of
texts the common beginning up to its last white space, so that no word is cut (TRL cuts between letters). The same holds
if the prompt is given as a text but repeated in chosen and rejected as messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from espalier.formats.fields import Fields, Malformed, Message, answer, common, side, split_turns, text, tools

TITLE = "TRL fields"
FIELDS: frozenset[str] = frozenset()


def detect(row: Fields) -> bool:
    """A pair, or a prompt with its completion."""
    if {"chosen", "rejected"} <= row.keys():
        return not isinstance(row["chosen"], Mapping)  # that is ShareGPT's
    return {"prompt", "completion"} <= row.keys()


def convert(row: Fields) -> dict[str, Any]:
    """The same fields, checked, with messages in one spelling."""
    if "chosen" in row or "rejected" in row:
        return _pair(row) | tools(row)
    if "completion" not in row:
        raise Malformed("missing 'completion'")
    completion = side(row, "completion")
    return {"prompt": side(row, "prompt"), "completion": answer(completion, "completion")} | tools(row)


def _pair(row: Fields) -> dict[str, Any]:
    chosen, rejected = side(row, "chosen"), side(row, "rejected")
    if isinstance(chosen, str) != isinstance(rejected, str):
        raise Malformed("'chosen' and 'rejected' differ in form", "one is a text, the other messages")
    prompt = side(row, "prompt") if "prompt" in row else None
    if isinstance(chosen, str) or isinstance(rejected, str):
        pair = {"chosen": text(row, "chosen"), "rejected": text(row, "rejected")}
        return pair | {"prompt": prompt} if prompt is not None else _split_texts(**pair)
    if not isinstance(prompt, list) and chosen[0]["role"] != "assistant":
        return split_turns(chosen, rejected)
    if prompt is None:
        raise Malformed("missing 'prompt'", "chosen and rejected hold answers only")
    repeated = len(prompt) if isinstance(prompt, list) and _begins(chosen, prompt) and _begins(rejected, prompt) else 0
    return {
        "prompt": prompt,
        "chosen": answer(chosen[repeated:], "chosen"),
        "rejected": answer(rejected[repeated:], "rejected"),
    }


def _begins(turns: list[Message], prompt: list[Message]) -> bool:
    return turns[: len(prompt)] == prompt


def _split_texts(chosen: str, rejected: str) -> dict[str, str]:
    spaces = re.finditer(r"\s", chosen[: common(chosen, rejected)])
    cut = max((space.start() for space in spaces), default=0)
    return {"prompt": chosen[:cut], "chosen": chosen[cut:], "rejected": rejected[cut:]}
