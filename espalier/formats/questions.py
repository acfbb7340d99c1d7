"""Questions with the answers they accept: `question`, `answers` (or one `answer`); often `passages` and `gold` beside.

An empty list of answers, or `answerable: false`, is a question that nothing shown can answer. SQuAD's columns are read
too: answers as {"text": [...], "answer_start": [...]}, and one passage as `context`, titled by `title`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from espalier.formats.fields import Fields, Malformed, text

TITLE = "questions"
FIELDS = frozenset({"answer", "context"})

_OTHERS = {"prompt", "completion", "chosen", "rejected", "messages"}  # these say themselves what is asked or trained


def detect(row: Fields) -> bool:
    """A question, and whether or how it is answered."""
    return "question" in row and not row.keys().isdisjoint({"answers", "answer", "answerable"}) and _alone(row)


def convert(row: Fields) -> dict[str, Any]:
    """The question and a list of answers, checked; a context becomes the passage that holds them."""
    question = text(row, "question")
    if not question.strip():
        raise Malformed("'question' is empty")
    return {"question": question, "answers": _answers(row)} | _context(row)


def _alone(row: Fields) -> bool:
    return row.keys().isdisjoint(_OTHERS)


def _answers(row: Fields) -> list[str]:
    if row.get("answerable") is False:
        return []
    found = row.get("answers", row.get("answer"))
    if isinstance(found, Mapping):
        found = found.get("text")
    if isinstance(found, str | int | float) and not isinstance(found, bool):
        found = [found]
    if not isinstance(found, list | tuple):
        raise Malformed("missing 'answers'" if found is None else "'answers' is not a list of texts")
    if any(isinstance(answer, bool) or not isinstance(answer, str | int | float) for answer in found):
        raise Malformed("'answers' is not a list of texts")
    if row.get("answerable") is True and not found:
        raise Malformed("answerable without answers")
    return [text({"answers": str(answer)}, "answers") for answer in found]


def _context(row: Fields) -> dict[str, Any]:
    if "context" not in row or "passages" in row:
        return {}
    title = row.get("title")
    passage = {"text": text(row, "context")} | ({"title": title} if isinstance(title, str) else {})
    return {"passages": [passage], "gold": [0] if _answers(row) else []}
