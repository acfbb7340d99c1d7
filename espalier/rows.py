"""Rows: any source of rows, read unchanged and lazily, in the canonical fields.

    rows = read("pairs.jsonl.xz")
    rows.detected   # "pairs.jsonl.xz: Anthropic HH transcripts (chosen, rejected), read as preference pairs"
    for row in rows: ...   # row["prompt"], row["chosen"], row["rejected"]; row.where is "pairs.jsonl.xz, row 17"
    rows.dropped    # what could not be read, each with its place and reason

A row that cannot be read is dropped and counted; it never aborts the rest, unless nothing is left.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier.contracts import Row
from espalier.errors import RowError, unknown
from espalier.formats import CANONICAL, READERS, fitting
from espalier.formats.fields import Fields, Malformed
from espalier.formats.sources import Source, find, of_dicts

KINDS = {
    "preference": ("prompt", "chosen", "rejected"),
    "unpaired": ("prompt", "completion", "label"),
    "completion": ("prompt", "completion"),
    "messages": ("messages",),
    "question": ("question", "answers"),
    "text": ("text",),
    "prompt": ("prompt",),
}  # what a row can be, and the fields that make it that; the first that fits counts

_WORDS = {
    "preference": "preference pairs",
    "unpaired": "rated answers",
    "completion": "prompts with completions",
    "messages": "conversations",
    "question": "questions with answers",
    "text": "raw text",
    "prompt": "prompts",
}
_SAMPLE = 50  # rows that decide the format
_TRUTH = {"true": True, "false": False, "1": True, "0": False, "1.0": True, "0.0": False}
_ASKING = ("question", "query", "instruction", "input")  # what columns to map are often called
_ANSWERING = ("answer", "response", "output", "target")


def read(
    source: str | Path | Iterable[Mapping[str, Any]],
    *,
    format: str | None = None,
    columns: Mapping[str, str] | str | None = None,
    limit: int | None = None,
    split: str | None = None,
) -> Rows:
    """The rows of a source.

    Args:
        source: a file (.jsonl, .json, .csv, .tsv, .parquet, also .xz, .gz, .bz2, .zst), a folder of such files or one
            saved by `datasets`, a hub id "org/name" (only if there is no such path), or dicts. An iterator is kept as
            a list, since rows are read more than once.
        format: the name of a reader in `espalier/formats`; detected from the first rows if not given.
        columns: canonical field -> the source's column, also as "prompt=question,completion=answer". A column that
            already has the canonical name is replaced; columns that are not named are kept.
        limit: at most so many rows, not counting dropped ones.
        split: the split of a folder or dataset; "train" if it has one.

    Raises:
        RowError: there is no such source, it holds no rows, or no format fits them.
    """
    if limit is not None and limit < 1:
        raise RowError(f"limit is {limit}; it must be at least 1.")
    found = find(source, split) if isinstance(source, str | Path) else of_dicts(source)
    return Rows(found, format=format, columns=parse_columns(columns or {}), limit=limit)


def parse_columns(columns: Mapping[str, str] | str) -> dict[str, str]:
    """A mapping of columns, also from its one-line spelling "prompt=question,completion=answer"."""
    if isinstance(columns, Mapping):
        return {str(field): str(column) for field, column in columns.items()}
    parsed: dict[str, str] = {}
    for pair in columns.split(","):
        field, _, column = (part.strip() for part in pair.partition("="))
        if not field or not column or field in parsed:
            raise RowError(f"columns {columns!r} cannot be read; write field=column, commas between, each field once.")
        parsed[field] = column
    return parsed


def kind(row: Mapping[str, Any]) -> str:
    """What a row in canonical fields is: a key of `KINDS`."""
    for name, fields in KINDS.items():
        if row.keys() >= set(fields) and _is(name, row):
            return name
    raise RowError(f"{getattr(row, 'where', 'row')} has none of the fields {', '.join(CANONICAL)}.")


def _is(name: str, row: Mapping[str, Any]) -> bool:
    """What a kind asks for beyond its fields; where there is a prompt, a question is a column like any other."""
    return isinstance(row["label"], bool) if name == "unpaired" else name != "question" or "prompt" not in row


@dataclass(frozen=True)
class Dropped:
    """A row that could not be read: where it is, why (a category to count) and the detail of this row."""

    where: str
    reason: str
    detail: str = ""


class Rows:
    """Rows of one source; every iteration reads it again from the start.

    `format` is the name of the reader, `kind` what its rows are (a key of `KINDS`), `detected` one sentence for the
    user and `dropped` what the latest iteration could not read.
    """

    def __init__(
        self, source: Source, *, format: str | None = None, columns: Mapping[str, str], limit: int | None = None
    ) -> None:
        self.name, self._source, self._columns, self._limit = source.name, source, columns, limit
        self.dropped: list[Dropped] = []
        first = self._first()
        sample = [_renamed(row, columns) for row in first]
        names = [format] if format else fitting(sample, mapped=not columns.keys().isdisjoint(CANONICAL))
        if not names:
            raise RowError(_no_format(self.name, sample))
        if names[0] not in READERS:
            raise RowError(unknown("format", names[0], READERS))
        self.format, self._reader, self.kind = names[0], READERS[names[0]], ""
        self.kind = self._usual_kind(first)
        shown = self._reader.FIELDS | {*KINDS[self.kind], "tools"}
        used = [_known_as(name, columns) for name in dict.fromkeys(itertools.chain(*sample)) if name in shown]
        parts = [f"{self.name}: {self._reader.TITLE} ({', '.join(used)}), read as {_WORDS[self.kind]}", *source.notes]
        if self.kind == "question" and "answer" in used:
            parts.append("to train on them, name the columns: prompt=question,completion=answer")
        self.detected = "; ".join(parts + [f"{other} would fit too and is less specific" for other in names[1:]])

    def __iter__(self) -> Iterator[Row]:
        self.dropped = dropped = []
        kept = 0
        for where, value in self._source.records():
            try:
                row = self._row(value, where)
            except Malformed as problem:
                dropped.append(Dropped(where, problem.reason, problem.detail))
                continue
            yield row
            kept += 1
            if kept == self._limit:
                return
        if not kept:
            raise _nothing_left(self.name, dropped)

    def _row(self, value: Fields | Malformed, where: str) -> Row:
        if isinstance(value, Malformed):
            raise value
        fields = _renamed(value, self._columns)
        if "label" in fields:
            fields["label"] = _label(fields["label"], mapped="label" in self._columns)
        if "weight" in fields:
            fields["weight"] = _weight(fields["weight"])
        kept = {name: value for name, value in fields.items() if name not in self._reader.FIELDS}
        row = Row(kept | self._reader.convert(fields), where)
        if self.kind and kind(row) != self.kind:
            raise Malformed("another kind of row", f"{_WORDS[kind(row)]} among {_WORDS[self.kind]}")
        return row

    def _first(self) -> list[Fields]:
        """The first rows that are objects, as they are in the source."""
        bad: list[Dropped] = []
        sample: list[Fields] = []
        for where, value in self._source.records():
            if isinstance(value, Malformed):
                bad.append(Dropped(where, value.reason, value.detail))
            else:
                sample.append(value)
            if len(sample) == _SAMPLE:
                break
        if not sample:
            raise _nothing_left(self.name, bad)
        found = {str(column) for row in sample for column in row}
        for column in self._columns.values():
            if column not in found:
                raise RowError(f"{self.name}: {unknown('column', column, found)}")
        return sample

    def _usual_kind(self, first: Sequence[Fields]) -> str:
        """The most common kind of the first rows, or that of the first row at all that can be read."""
        kinds: Counter[str] = Counter()
        for fields in first:
            with contextlib.suppress(Malformed):
                kinds[kind(self._row(fields, ""))] += 1
        return kinds.most_common(1)[0][0] if kinds else kind(next(iter(self)))


def _renamed(row: Fields, columns: Mapping[str, str]) -> dict[str, Any]:
    """The row under canonical names, without empty (null) fields."""
    kept = {name: value for name, value in row.items() if name not in columns and name not in columns.values()}
    named = kept | {name: row.get(column) for name, column in columns.items()}
    return {name: value for name, value in named.items() if value is not None}


def _known_as(name: str, columns: Mapping[str, str]) -> str:
    column = columns.get(name, name)
    return name if column == name else f"{column} as {name}"


def _label(value: Any, *, mapped: bool) -> Any:
    """True or false. An unmapped label of another sort (a topic, a class) is a column like any other."""
    if mapped or (isinstance(value, str) and value.strip().lower() in ("true", "false")):
        truth = _TRUTH.get(str(value).strip().lower())
        if truth is None:
            raise Malformed("'label' is not true or false", repr(value))
        return truth
    return value


def _weight(value: Any) -> float:
    try:
        weight = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0):
        raise Malformed("'weight' is not a number of 0 or more", repr(value))
    return weight


def _nothing_left(name: str, dropped: Sequence[Dropped]) -> RowError:
    if not dropped:
        return RowError(f"{name} holds no rows.")
    first = dropped[0]
    detail = f" ({first.detail})" if first.detail else ""
    return RowError(f"{name}: no row can be read. The first, {first.where}: {first.reason}{detail}.")


def _no_format(name: str, sample: Sequence[Fields]) -> str:
    """What was found, what is expected, and the option that helps, with the user's own columns in it."""
    found = [str(column) for column in dict.fromkeys(itertools.chain(*sample))]
    texts = [str(column) for column, value in sample[0].items() if isinstance(value, str)]
    guess = [
        next(
            (column for column in texts for word in words if word in column.lower() or column.lower() == word[0]),
            words[0],
        )
        for words in (_ASKING, _ANSWERING)
    ]
    spelled = f"prompt={guess[0]},completion={guess[1]}"
    return (
        f"{name}: no known format has its columns {', '.join(found[:20]) or '(none)'}. Expected are prompt and "
        "completion, messages, or text; prompt, chosen and rejected for preferences; prompt, completion and label for "
        f'rated answers. Name the columns, for example columns = "{spelled}".'
    )
