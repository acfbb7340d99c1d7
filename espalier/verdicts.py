"""Verdicts of a judge on pairs: read from its replies, counted, and the pairs found among rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.messages import answers_of, history_of, reasoning_of, text_of, thought

Letter = Literal["A", "B", "C"]
Winner = Literal["first", "second", "tie"]


def verdict(reply: str) -> Letter | None:
    """The last [[A]], [[B]] or [[C]] that follows the reply's reasoning; None where there is none."""
    answer = thought(reply)[1]
    if answer.lstrip().startswith("<think>"):  # cut short before the reasoning ended
        return None
    found: list[Letter] = re.findall(r"\[\[\s*([ABC])\s*\]\]", answer)
    return found[-1] if found else None


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


def pairs_of(rows: Sequence[Row]) -> dict[str | int, tuple[int, int]]:
    """The two rows of each group, by their numbers.

    Raises:
        RowError: a field is missing, a group has not two rows, or they answer different prompts.
    """
    groups: dict[str | int, list[int]] = {}
    for number, row in enumerate(rows):
        for name in ("prompt", "completion", "group"):
            if row.get(name) is None:
                raise RowError(f"{row.where}: {name!r} is missing; a judge of pairs needs prompt, completion, group.")
        if not isinstance(row["group"], str | int):
            raise RowError(f"{row.where}: 'group' is text or a number, not {row['group']!r}.")
        groups.setdefault(row["group"], []).append(number)
    found = {}
    for group, numbers in groups.items():
        row = rows[numbers[0]]
        if len(numbers) != 2:
            raise RowError(f"{row.where}: group {group!r} has {len(numbers)} rows; a judge of pairs needs two of each.")
        if row["prompt"] != rows[numbers[1]]["prompt"]:
            raise RowError(f"{rows[numbers[1]].where}: its prompt differs from the other of group {group!r}.")
        found[group] = (numbers[0], numbers[1])
    return found


def prompt_text(row: Row) -> str:
    """A row's prompt as a judge reads it: text, or one turn after the other, each with who speaks."""
    history = history_of(row["prompt"])
    if len(history) == 1 and history[0].get("role") == "user":
        return text_of(history[0])
    return "\n\n".join(f"{message.get('role')}: {text_of(message)}" for message in history)


def completion_text(row: Row) -> str:
    """A row's completion as a judge reads it: without its reasoning."""
    return "\n\n".join(reasoning_of(message)[1] for message in answers_of(row["completion"]))
