"""Rows with a question: which answers they accept, which passages are shown, and which of these hold the answer.

question    what is asked
answers     what counts as right; an empty list (or "answerable": false) asks for an abstention. `answer` is one
passages    what is shown: texts, or {"text", "title", "id"}
gold        the passages that hold the answer, by their number from 0 or their id
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.maths.scripts import language, script

_CODE = re.compile(r"[a-z]{2,3}(?![a-z])")  # "ko", "zh-Hans"; a language's name is no code


@dataclass(frozen=True)
class Passage:
    """A text that is shown, and whether it holds the answer."""

    text: str
    title: str = ""
    id: str = ""
    gold: bool = False


@dataclass(frozen=True)
class Gold:
    """What is known of a passage that holds the answer: its id, its text, or both."""

    id: str = ""
    text: str = ""


def is_question(row: Mapping[str, Any]) -> bool:
    """Whether a row asks a question whose right answers it knows."""
    known = row.get("answerable") is False or any(row.get(name) is not None for name in ("answers", "answer"))
    return row.get("question") is not None and row.get("prompt") is None and known


def accepted(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The answers a row accepts; none where the right reaction is to abstain, or where it says nothing of them."""
    if row.get("answerable") is False:
        return ()
    found = row.get("answers") if row.get("answers") is not None else row.get("answer")
    if found is None:
        return ()
    return tuple(map(str, found)) if isinstance(found, list | tuple) else (str(found),)


def language_of(row: Mapping[str, Any]) -> str:
    """The language whose rules answers are compared by: the row's own, or that of its first answer or its question."""
    said = row.get("language")
    if isinstance(said, str) and (code := _CODE.match(said.lower())):
        return code.group()
    spoken = (*accepted(row)[:1], str(row.get("question", "")))
    return language(next(filter(script, spoken), ""))


def passages_of(row: Mapping[str, Any], name: str = "passages") -> tuple[Passage, ...]:
    """The passages in a field.

    Raises:
        RowError: a passage is no text, or `gold` numbers one that is not there.
    """
    found = row.get(name) or ()
    if not isinstance(found, list | tuple):
        raise RowError(f"{name!r} is not a list of passages")
    passages = [_passage(value, name) for value in found]
    numbers, ids = _gold(row) if name == "passages" else (set(), set())
    if passages and max(numbers, default=0) >= len(passages):
        raise RowError("'gold' numbers a passage that is not there; passages are numbered from 0")
    marked = [(at in numbers or (p.id != "" and p.id in ids), p) for at, p in enumerate(passages)]
    return tuple(Passage(p.text, p.title, p.id, gold) for gold, p in marked)


def knows_gold(row: Mapping[str, Any]) -> bool:
    """Whether a row says which passages hold its answer, be they shown or not."""
    return row.get("gold") is not None


def gold_of(row: Mapping[str, Any]) -> list[Gold]:
    """Everything a row says of the passages that hold its answer."""
    found = [Gold(p.id, p.text) for p in passages_of(row) if p.gold]
    named = {gold.id for gold in found}
    return found + [Gold(name) for name in sorted(_gold(row)[1] - named)]


def with_passages(row: Row, passages: Sequence[Passage]) -> Row:
    """The same question with other passages shown."""
    kept = {name: value for name, value in row.items() if name not in ("passages", "gold")}
    kept["passages"] = [{k: v for k, v in asdict(p).items() if k != "gold" and v} for p in passages]
    if knows_gold(row):
        kept["gold"] = [at for at, passage in enumerate(passages) if passage.gold]
    return Row(kept, row.where)


def _passage(value: Any, name: str) -> Passage:
    fields = {"text": value} if isinstance(value, str) else value
    text = fields.get("text") if isinstance(fields, Mapping) else None
    if not isinstance(text, str) or not text.strip():
        raise RowError(f"{name!r} holds a passage without text")
    title, identity = (str(fields[key]) if fields.get(key) is not None else "" for key in ("title", "id"))
    return Passage(text, title, identity)


def _gold(row: Mapping[str, Any]) -> tuple[set[int], set[str]]:
    """The numbers and the ids in `gold`."""
    found = row.get("gold")
    listed = found if isinstance(found, list | tuple) else [] if found is None else [found]
    numbers = {value for value in listed if isinstance(value, int) and not isinstance(value, bool)}
    ids = {value for value in listed if isinstance(value, str)}
    if len(numbers) + len(ids) < len(set(map(str, listed))) or min(numbers, default=0) < 0:
        raise RowError("'gold' is neither numbers of passages (from 0) nor their ids")
    return numbers, ids
