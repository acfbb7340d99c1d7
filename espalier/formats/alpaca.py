"""Alpaca: instruction, input (may be empty or absent) and output; optionally system and history.

`chosen` and `rejected` in place of `output` make a preference pair; a true or false `label` beside it a rated answer.

Instruction and input are joined by one newline, as LLaMA-Factory and Axolotl's chat form do; Stanford's own headings
("### Instruction:") are a chat template of 2023, and the template is the model's here. Earlier turns of `history`
(pairs of instruction and answer) become part of the prompt and are not trained.
"""

from __future__ import annotations

from typing import Any

from espalier.formats.fields import Fields, Malformed, Message, said, text

TITLE = "Alpaca"
FIELDS = frozenset({"instruction", "input", "output", "system", "history"})


def detect(row: Fields) -> bool:
    """An instruction with an output, or with a pair of outputs."""
    return "instruction" in row and ("output" in row or ({"chosen", "rejected"} <= row.keys() and "prompt" not in row))


def convert(row: Fields) -> dict[str, Any]:
    """Prompt and completion (or chosen and rejected) as messages."""
    asked = {"prompt": question(row)}
    if "output" not in row and ("chosen" in row or "rejected" in row):
        return asked | {name: said("assistant", text(row, name)) for name in ("chosen", "rejected")}
    label = {"label": row["label"]} if isinstance(row.get("label"), bool) else {}
    return asked | {"completion": said("assistant", text(row, "output"))} | label


def question(row: Fields) -> list[Message]:
    """The messages of an instruction: system, history, then instruction and input joined by a newline."""
    system, extra = text(row, "system", ""), text(row, "input", "")
    turns = said("system", system) if system else []
    for pair in _history(row):
        turns += said("user", pair[0]) + said("assistant", pair[1])
    instruction = text(row, "instruction")
    return turns + said("user", f"{instruction}\n{extra}" if extra and instruction else instruction or extra)


def _history(row: Fields) -> list[tuple[str, str]]:
    """Pairs of texts; an empty string, as spreadsheets write it, is no history."""
    pairs = row.get("history") or []
    try:
        return [(text({"history": asked}, "history"), text({"history": told}, "history")) for asked, told in pairs]
    except (TypeError, ValueError):
        raise Malformed("bad 'history'", "a list of pairs of texts is expected") from None
