"""Candidates: the passages that a reranker orders, by the query they compete for, and how a model is shown them.

A passage is data. A model reads it on one line between double quotes, has none of them inside, and finds no label in it
that is not ours: "[3] > [1]" in a document is shown as "(3) > (1)".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from espalier.contracts import Row, Scores
from espalier.errors import RowError
from espalier.maths.scripts import BY_CHARACTER

_UNSPACED = "".join(BY_CHARACTER[name] for name in ("Kana", "Han", "Thai"))
_WORD = re.compile(rf"[{_UNSPACED}]|[^\s{_UNSPACED}]+")
_LABEL = re.compile(r"\[\s*(?:PASSAGE)?\s*(\d+)\s*\]|\bPASSAGE\s*(\d+)")


@dataclass(frozen=True)
class Candidates:
    """What competes for one query, in the order it came."""

    query: str
    passages: tuple[str, ...]  # each with its title in front
    rows: tuple[int, ...]  # where they stand among all rows


@dataclass(frozen=True)
class Ranking:
    """Candidates in their new order, and what it took."""

    order: tuple[int, ...]  # numbers of candidates, best first
    calls: int = 0  # prompts
    unread: int = 0  # those whose reply says nothing


def groups_of(rows: Sequence[Row]) -> list[Candidates]:
    """Rows by their `group`; without one, by their query.

    Raises:
        RowError: a row lacks its query or document, or rows of a group have different queries.
    """
    found: dict[object, list[int]] = {}
    for number, row in enumerate(rows):
        for name in ("query", "document"):
            if not isinstance(row.get(name), str):
                raise RowError(f"{row.where}: {name!r} is missing or no text; a reranker needs query and document.")
        group = row.get("group")
        found.setdefault(row["query"] if group is None else ("group", group), []).append(number)
    for first, *others in found.values():
        for other in others:
            if rows[other]["query"] != rows[first]["query"]:
                raise RowError(
                    f"{rows[other].where}: its query differs from the other of group {rows[other]['group']!r}."
                )
    return [
        Candidates(rows[numbers[0]]["query"], tuple(passage_of(rows[n]) for n in numbers), tuple(numbers))
        for numbers in found.values()
    ]


def passage_of(row: Row) -> str:
    """A row's document with its title in front, unless the text begins with it."""
    title, text = row.get("title") or "", row["document"]
    return text if not title or text.startswith(title) else f"{title}\n{text}"


def scores_of(
    groups: Sequence[Candidates], rankings: Sequence[Ranking], points: Sequence[Sequence[float]] = ()
) -> Scores:
    """One score for each row: the reciprocal of its rank, or its points.

    Where no reply of a group could be read its rows have none.

    Args:
        groups: of all rows.
        rankings: of the groups.
        points: of the candidates of each group, where they have any.
    """
    count = sum(len(group.rows) for group in groups)
    values: list[float | None] = [None] * count
    reasons = [""] * count
    for number, (group, ranking) in enumerate(zip(groups, rankings, strict=True)):
        silent = 0 < ranking.calls == ranking.unread
        said = f"{ranking.unread} of {ranking.calls} replies name no order" if ranking.unread else ""
        for rank, candidate in enumerate(ranking.order, 1):
            row = group.rows[candidate]
            values[row] = None if silent else points[number][candidate] if points else 1 / rank
            reasons[row] = said
    return Scores(tuple(values), tuple(reasons))


def quoted(text: str, words: int | None = None) -> str:
    """A text as a model is shown it: see the module.

    Args:
        text: a passage or a query.
        words: at most so many; in a script without spaces each character is one.
    """
    line = _LABEL.sub(lambda found: f"({found[1] or found[2]})", " ".join(text.split()))
    if words is not None:
        ends = [match.end() for _, match in zip(range(words), _WORD.finditer(line), strict=False)]
        line = line[: ends[-1]] if ends else ""
    return '"' + line.replace('"', "'") + '"'


def token_ends(tokenizer: Any, text: str) -> list[int]:
    """Where each token of a text ends, in characters."""
    found = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    return [end for _, end in found["offset_mapping"]]


def first_tokens(tokenizer: Any, text: str, tokens: int) -> str:
    """The beginning of a text, as many tokens of it."""
    ends = token_ends(tokenizer, text)
    return text if len(ends) <= tokens else text[: ends[tokens - 1]] if tokens > 0 else ""
