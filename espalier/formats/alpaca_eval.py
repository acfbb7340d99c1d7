"""AlpacaEval annotations: instruction, output_1, output_2 and preference (1 or 2, the better one; 0 or 1.5, a tie)."""

from __future__ import annotations

from typing import Any

from espalier.formats.alpaca import question
from espalier.formats.fields import Fields, Malformed, said, text

TITLE = "AlpacaEval judgements"
FIELDS = frozenset({"instruction", "input", "output_1", "output_2", "preference"})


def detect(row: Fields) -> bool:
    """Two outputs with a preference; a row that was never judged has none, but is of this format."""
    return {"instruction", "output_1", "output_2"} <= row.keys()


def convert(row: Fields) -> dict[str, Any]:
    """A preference pair; a tie is dropped, it prefers nothing."""
    outputs = [said("assistant", text(row, name)) for name in ("output_1", "output_2")]
    if "preference" not in row:
        raise Malformed("missing 'preference'")
    try:
        preference = float(row["preference"])
    except (TypeError, ValueError):
        raise Malformed("'preference' is not 1 or 2", repr(row["preference"])) from None
    if preference in (0.0, 1.5):
        raise Malformed("tie")
    if preference not in (1.0, 2.0):
        raise Malformed("'preference' is not 1 or 2", repr(row["preference"]))
    better = int(preference) - 1
    return {"prompt": question(row), "chosen": outputs[better], "rejected": outputs[1 - better]}
