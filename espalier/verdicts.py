"""Verdicts of a judge on pairs: read from its replies, counted, and the pairs found among rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.messages import answers_of, history_of, reasoning_of, text_of, thought

Letter = Literal["A", "B", "C"]
Winner = Literal["first", "second", "tie"]


_NUMBER = r"(\d+(?:\.\d+)?)"
_PLAIN = re.compile(
    rf"[*_\s]*(?:(?:overall\s+)?(?:rating|score)\s*(?:is|[:=])?)?[*_\s]*{_NUMBER}[*_\s]*(?:/\s*(\d+))?[*_.\s]*", re.I
)


def verdict(reply: str) -> Letter | None:
    """The last [[A]], [[B]] or [[C]] that follows the reply's reasoning; None where there is none."""
    found: list[Letter] = re.findall(r"\[\[\s*([ABC])\s*\]\]", concluded(reply))
    return found[-1] if found else None


def rating(reply: str, lowest: float, highest: float) -> float | None:
    r"""The last [[number]] that follows the reply's reasoning, or else a last line that says nothing but a number.

    None where there is neither, or it is not on the scale: a number is never moved onto it.

    Args:
        reply: "Clear, but wrong.\n[[2]]"; "Rating: 7", "7/10" and "**7**" are such last lines, too.
        lowest: the scale's end.
        highest: its other end; "7/5" is no rating on a scale up to 10.
    """
    answer = concluded(reply)
    marked: list[str] = re.findall(rf"\[\[\s*{_NUMBER}\s*\]\]", answer)
    if marked:
        value = float(marked[-1])
    else:
        lines = answer.strip().splitlines()
        found = _PLAIN.fullmatch(lines[-1]) if lines else None
        if found is None or (found[2] is not None and float(found[2]) != highest):
            return None
        value = float(found[1])
    return value if lowest <= value <= highest else None


def concluded(reply: str) -> str:
    """What follows a reply's reasoning; nothing where it was cut short before that ended."""
    answer = thought(reply)[1]
    return "" if answer.lstrip().startswith("<think>") else answer


@dataclass(frozen=True)
class Judged:
    """One pair, judged in both orders."""

    winner: Winner | None  # None: a verdict could not be read
    verdicts: tuple[Letter | None, Letter | None]  # with the first completion shown as A, and with the second
    replies: tuple[str, str]


@dataclass(frozen=True)
class Tally:
    """Judged pairs, counted; those without a verdict are not among the ties.

    `toward_a` and `toward_b` are the rates of position bias: shares of the pairs with verdicts in which the completion
    in that place won in both orders, whichever it was.
    """

    first: int
    second: int
    ties: int
    unparsed: int
    toward_a: float | None  # None: no pair has verdicts
    toward_b: float | None


def tally(judged: Iterable[Judged]) -> Tally:
    """Wins, ties, pairs without a verdict, and how often the place decided."""
    pairs = list(judged)
    counts = [sum(pair.winner == name for pair in pairs) for name in ("first", "second", "tie", None)]
    parsed = len(pairs) - counts[-1]
    bias = [sum(pair.verdicts == (place, place) for pair in pairs) / parsed if parsed else None for place in "AB"]
    return Tally(*counts, *bias)


def pairs_of(rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Every two rows of each group, by their numbers.

    Raises:
        RowError: a field is missing, a row is alone in its group, or rows of a group answer different prompts.
    """
    groups: dict[str | int, list[int]] = {}
    for number, row in enumerate(rows):
        for name in ("prompt", "completion", "group"):
            if row.get(name) is None:
                raise RowError(f"{row.where}: {name!r} is missing; a judge of pairs needs prompt, completion, group.")
        if not isinstance(row["group"], str | int):
            raise RowError(f"{row.where}: 'group' is text or a number, not {row['group']!r}.")
        groups.setdefault(row["group"], []).append(number)
    for group, (first, *others) in groups.items():
        if not others:
            raise RowError(f"{rows[first].where}: group {group!r} has one row; a judge of pairs needs two or more.")
        for other in others:
            if rows[other]["prompt"] != rows[first]["prompt"]:
                raise RowError(f"{rows[other].where}: its prompt differs from the other of group {group!r}.")
    return [pair for numbers in groups.values() for pair in combinations(numbers, 2)]


def prompt_text(row: Row) -> str:
    """A row's prompt as a judge reads it: text, or one turn after the other, each with who speaks."""
    history = history_of(row["prompt"])
    if len(history) == 1 and history[0].get("role") == "user":
        return text_of(history[0])
    return "\n\n".join(f"{message.get('role')}: {text_of(message)}" for message in history)


def completion_text(row: Row) -> str:
    """A row's completion as a judge reads it: without its reasoning."""
    return "\n\n".join(reasoning_of(message)[1] for message in answers_of(row["completion"]))
