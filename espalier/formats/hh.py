r"""Anthropic HH transcripts: chosen and rejected, texts of "\n\nHuman: ... \n\nAssistant: ...".

Split into messages, and at the last turn both share that is not an answer. Neighboring turns of one speaker are one
turn with an empty line between them. Some copies keep the shared part in a `prompt` that ends in "\n\nAssistant:".
"""

from __future__ import annotations

import re
from typing import Any

from espalier.formats.fields import Fields, Malformed, Message, split_turns, text

TITLE = "Anthropic HH transcripts"
FIELDS: frozenset[str] = frozenset()

_TURN = re.compile(r"(?:\A|\n\n)(Human|Assistant):")
_ROLES = {"Human": "user", "Assistant": "assistant"}


def detect(row: Fields) -> bool:
    """A pair of transcripts, or of answers to one."""
    start = row.get("prompt", row.get("chosen"))
    texts = {"chosen", "rejected"} <= row.keys() and isinstance(start, str) and isinstance(row["chosen"], str)
    return texts and str(start).lstrip().startswith("Human:")


def convert(row: Fields) -> dict[str, Any]:
    """A preference pair as messages."""
    prompt = text(row, "prompt", "")
    return split_turns(*(_turns(prompt + text(row, name), name) for name in ("chosen", "rejected")))


def _turns(transcript: str, name: str) -> list[Message]:
    before, *pieces = _TURN.split(transcript.lstrip())
    if before or not pieces:
        raise Malformed(f"{name!r} is not a transcript", "it does not begin with 'Human:' or 'Assistant:'")
    turns: list[Message] = []
    for speaker, words in zip(pieces[::2], pieces[1::2], strict=True):
        role = _ROLES[speaker]
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += "\n\n" + words.strip()
        else:
            turns.append({"role": role, "content": words.strip()})
    return turns
