"""Raw `text`, or a `prompt` alone (for sampling)."""

from __future__ import annotations

from typing import Any

from espalier.formats.fields import Fields, side, text, tools

TITLE = "plain fields"
FIELDS: frozenset[str] = frozenset()


def detect(row: Fields) -> bool:
    """A text, or a prompt without an answer."""
    return "text" in row or (
        "prompt" in row and row.keys().isdisjoint({"completion", "chosen", "rejected", "messages"})
    )


def convert(row: Fields) -> dict[str, Any]:
    """The same field, checked."""
    if "prompt" in row and "text" not in row:
        return {"prompt": side(row, "prompt")} | tools(row)
    return {"text": text(row, "text")}
