"""Open WebUI feedback as preference pairs: two answers to the same message, one liked and one not.

Ratings are those of all records, and of the annotations that conversations keep of earlier ones. It is asked for by
name: format = "open_webui_pairs".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from espalier.formats import open_webui
from espalier.formats.fields import Fields, LeftOut, Malformed

TITLE = "Open WebUI feedback on several answers"
FIELDS = open_webui.FIELDS | {"pair"}

ALONE = "no answer beside it is rated otherwise"


def detect(row: Fields) -> bool:
    """A record that by itself shows two answers rated differently."""
    try:
        return open_webui.detect(row) and bool(_pairs(row, {}))
    except Malformed:
        return False


def expand(records: Iterator[tuple[str, Fields | Malformed]]) -> Iterator[tuple[str, Fields | Malformed]]:
    """The records once for each pair they show, no pair twice; a record that shows none is left out."""
    kept = list(records)
    ratings: dict[str, int] = {}
    for _, record in kept:
        if not isinstance(record, Malformed):
            with contextlib.suppress(Malformed):  # it is told below
                ratings[open_webui.rated(record)] = open_webui.rating(record)
    seen: set[tuple[str, str]] = set()
    for where, record in kept:
        if isinstance(record, Malformed):
            yield where, record
            continue
        try:
            found = _pairs(record, ratings)
        except Malformed as problem:
            yield where, problem
            continue
        if not found:
            yield where, LeftOut(ALONE)
        for pair in found:
            if pair not in seen:
                seen.add(pair)
                yield where, {**record, "pair": pair}


def convert(row: Fields) -> dict[str, Any]:
    """The pair that a record was chosen for, or the first that it shows."""
    pairs = [row["pair"]] if "pair" in row else _pairs(row, {})
    if not pairs:
        raise Malformed(ALONE)
    chosen, rejected = (open_webui.answer(row, name) for name in pairs[0])
    return {"prompt": chosen["prompt"], "chosen": chosen["completion"], "rejected": rejected["completion"]}


def _pairs(row: Fields, ratings: dict[str, int]) -> list[tuple[str, str]]:
    """The liked and the disliked message of every pair that the rated one is part of."""
    known, name = open_webui.tree(row), open_webui.rated(row)
    mine = ratings.get(name) or open_webui.rating(row)
    if name not in known:
        raise Malformed("a message is not in the conversation", repr(name))
    found = []
    for other, message in known.items():
        if other == name or message.get("parentId") != known[name].get("parentId"):
            continue
        theirs = ratings.get(other, 0)
        if not theirs:
            with contextlib.suppress(Malformed):  # not rated
                theirs = open_webui.rating({"data": message.get("annotation")})
        if theirs == -mine:
            found.append((name, other) if mine > 0 else (other, name))
    return found
