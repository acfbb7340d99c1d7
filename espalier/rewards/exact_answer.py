"""1 for the right answer, 0 for another: the rule-based reward of DeepSeek-R1 (2025), arXiv:2501.12948."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from espalier import reading
from espalier.catalogue import method
from espalier.contracts import Row, Scores
from espalier.errors import RowError
from espalier.maths.answers import exact_match
from espalier.verdicts import completion_text

_MARKS = (re.compile(r"####[ \t]*(.+)"), re.compile(r"\\boxed\{([^{}]*)\}"))  # GSM8K's, and that of maths
_SAID = re.compile(r"\banswer(?:\s+is|\s*[:=])\s*(.+)", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.])[-\u2212]?[$€£₩¥]?(?:(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+)")


def final_answer(text: str) -> str:
    r"""The answer that a reply ends in: what follows its last mark, else the whole reply.

    Marks are, in this order: a line "Answer: ...", "#### ...", "\boxed{...}", and the words "the answer is".

    Args:
        text: the reply, without its reasoning.
    """
    found = reading.read(text)
    if any(line.strip().startswith(reading.ANSWER) for line in text.splitlines()):
        return found.short
    for mark in (*_MARKS, _SAID):
        if matches := mark.findall(text):
            return str(matches[-1]).strip()
    return text.strip()


def number(text: str) -> Decimal | None:
    """The one number in a text, with a sign, a currency and thousands' commas or not; None where there is not one."""
    found = _NUMBER.findall(text)
    return Decimal(re.sub(r"[^\d.\-]", "", found[0].replace("\u2212", "-"))) if len(found) == 1 else None


def right(answer: str, accepted: Sequence[str], lang: str | None = None) -> float:
    """1 where an answer is one of those accepted: numbers by their value, other answers as SQuAD compares them."""
    numbers = {number(each) for each in accepted if _NUMBER.fullmatch(each.strip())}
    return float(number(answer) in numbers) if numbers else exact_match(answer, accepted, lang)


@method(paper="arXiv:2501.12948")
@dataclass(frozen=True)
class ExactAnswer:
    """Score a completion 1 where the answer it ends in is one that the row accepts, and 0 where it is another.

    Inputs: rows with completion, and with `answers` or `answer`. An empty completion is wrong; a row that accepts no
    answer cannot be scored.
    """

    def score(self, rows: Sequence[Row]) -> Scores:
        values = [right(final_answer(completion_text(row)), accepted(row)) for row in rows]
        return Scores(tuple(values))


def accepted(row: Row) -> list[str]:
    """The answers that a row accepts.

    Raises:
        RowError: it names none.
    """
    given = row.get("answers", row.get("answer"))
    found = [str(each) for each in (given if isinstance(given, list | tuple) else [given]) if each is not None]
    if not found:
        raise RowError(f"{row.where}: neither 'answers' nor 'answer' says what is right.")
    return found
