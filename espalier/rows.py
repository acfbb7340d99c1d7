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
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier.contracts import Row
from espalier.errors import RowError, unknown
from espalier.formats import CANONICAL, READERS, fitting
from espalier.formats.columns import known_as, label, parse_pairs, renamed, require, weight
from espalier.formats.fields import Fields, LeftOut, Malformed
from espalier.formats.sources import Source, find, of_dicts

KINDS = {
    "preference": ("prompt", "chosen", "rejected"),
    "unpaired": ("prompt", "completion", "label"),
    "ranked": ("prompt", "completions", "ranks"),
    "completion": ("prompt", "completion"),
    "messages": ("messages",),
    "question": ("question", "answers"),
    "text": ("text",),
    "prompt": ("prompt",),
}  # what a row can be, and the fields that make it that; the first that fits counts

_WORDS = {
    "preference": "preference pairs",
    "unpaired": "rated answers",
    "ranked": "ranked answers",
    "completion": "prompts with completions",
    "messages": "conversations",
    "question": "questions with answers",
    "text": "raw text",
    "prompt": "prompts",
}
_SAMPLE = 50  # rows that decide the format
_ASKING = ("question", "query", "instruction", "input")  # what columns to map are often called
_ANSWERING = ("answer", "response", "output", "target")


def read(
    source: str | Path | Iterable[Mapping[str, Any]],
    *,
    format: str | None = None,
    columns: Mapping[str, str] | str | None = None,
    limit: int | None = None,
    split: str | None = None,
    where: Mapping[str, str] | str | None = None,
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
        where: canonical field or column -> the value that rows must have there, also as "label=true,model=small".

    Raises:
        RowError: there is no such source, it holds no rows, or no format fits them.
    """
    if limit is not None and limit < 1:
        raise RowError(f"limit is {limit}; it must be at least 1.")
    found = find(source, split) if isinstance(source, str | Path) else of_dicts(source)
    wanted = parse_pairs(where or {}, "where", "field=value")
    return Rows(found, format=format, columns=parse_columns(columns or {}), limit=limit, where=wanted)


def parse_columns(columns: Mapping[str, str] | str) -> dict[str, str]:
    """A mapping of columns, also from its one-line spelling "prompt=question,completion=answer"."""
    return parse_pairs(columns, "columns", "field=column")


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
    user, `dropped` what the latest iteration could not read, and `left_out` what was not asked for, by reason.
    """

    def __init__(
        self,
        source: Source,
        *,
        format: str | None = None,
        columns: Mapping[str, str],
        limit: int | None = None,
        where: Mapping[str, str] | None = None,
    ) -> None:
        self.name, self._source, self._columns, self._limit = source.name, source, columns, limit
        self._where = where or {}
        self.dropped: list[Dropped] = []
        self.left_out: Counter[str] = Counter()
        first = self._first()
        sample = [renamed(row, columns) for row in first]
        names = [format] if format else fitting(sample, mapped=not columns.keys().isdisjoint(CANONICAL))
        if not names:
            raise RowError(_no_format(self.name, sample))
        if names[0] not in READERS:
            raise RowError(unknown("format", names[0], READERS))
        self.format, self._reader, self.kind = names[0], READERS[names[0]], ""
        self.kind = self._usual_kind(first)
        shown = self._reader.FIELDS | {*KINDS[self.kind], "tools"}
        used = [known_as(name, columns) for name in dict.fromkeys(itertools.chain(*sample)) if name in shown]
        parts = [f"{self.name}: {self._reader.TITLE} ({', '.join(used)}), read as {_WORDS[self.kind]}", *source.notes]
        if self.kind == "question" and "answer" in used:
            parts.append("to train on them, name the columns: prompt=question,completion=answer")
        self._about = parts + [f"{other} would fit too and is less specific" for other in names[1:]]

    @property
    def detected(self) -> str:
        """One sentence: what the rows are, and of the latest iteration what was not asked for."""
        left = [f"{count:,} left out: {reason}" for reason, count in self.left_out.items()]
        return "; ".join(self._about + left)

    def __iter__(self) -> Iterator[Row]:
        self.dropped = dropped = []
        self.left_out = left_out = Counter[str]()
        kept, first = 0, Row()
        expand = getattr(self._reader, "expand", iter)
        for where, value in expand(self._source.records()):
            try:
                row = self._row(value, where)
                first = first or row
                require(row, self._where)
            except LeftOut as problem:
                left_out[problem.reason] += 1
                continue
            except Malformed as problem:
                dropped.append(Dropped(where, problem.reason, problem.detail))
                continue
            yield row
            kept += 1
            if kept == self._limit:
                return
        if not kept and left_out:
            raise RowError(f"{self.name}: {self._nothing_asked_for(first)}")
        if not kept:
            raise _nothing_left(self.name, dropped)

    def _nothing_asked_for(self, first: Row) -> str:
        """The sentence for rows that can all be read and are all left out."""
        for field in self._where:
            if first and field not in first:
                return unknown("column", field, first)
        reasons = ", ".join(f"{count:,} are left out: {reason}" for reason, count in self.left_out.items())
        return f"no row is what was asked for; {reasons}."

    def _row(self, value: Fields | Malformed, where: str) -> Row:
        if isinstance(value, Malformed):
            raise value
        fields = renamed(value, self._columns)
        if "label" in fields:
            fields["label"] = label(fields["label"], mapped="label" in self._columns)
        if "weight" in fields:
            fields["weight"] = weight(fields["weight"])
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
