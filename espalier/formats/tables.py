"""Tables: CSV and TSV with a header line, whatever delimiter they use, and Parquet."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from espalier.errors import RowError
from espalier.formats.fields import Fields, Malformed, encodable
from espalier.formats.text import COMPRESSED, bad_bytes, open_bytes, open_text, plain_suffix

Numbered = Iterator[tuple[int, Fields | Malformed]]

_QUOTED = re.compile(r'"(?:[^"]|"")*"')


def read_csv(path: Path) -> Numbered:
    """Rows by the names of the header; a row with more or fewer cells than the header is malformed."""
    csv.field_size_limit(2**31 - 1)  # the default refuses cells over 128 KiB
    with open_text(path, newline="") as file:
        sample = file.read(1 << 16)
    lines = re.split(r"\r\n|\r|\n", sample)
    delimiter, quoting = _dialect(lines[:-1] or lines, plain_suffix(path))  # the last may be cut
    with open_text(path, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter, quoting=quoting)
        header = next(reader, [])
        repeated = {name for name in header if header.count(name) > 1}
        if repeated:
            raise RowError(f"{path.name}: the header names {min(repeated)!r} twice; rename one of the columns.")
        number, line = 0, reader.line_num
        for cells in reader:
            number += bool(cells)
            if cells and not all(map(encodable, cells)):
                yield number, bad_bytes(file)
            elif cells and len(cells) != len(header):
                detail = f"{len(cells)}, the header has {len(header)}; lines {line + 1} to {reader.line_num}"
                yield number, Malformed("wrong number of cells", detail)
            elif cells:
                yield number, dict(zip(header, cells, strict=True))
            line = reader.line_num


def _dialect(lines: Sequence[str], suffix: str) -> tuple[str, Literal[0, 3]]:
    """The delimiter that gives the header most columns, and whether quotes mean anything.

    TSV has no quoting by definition, and real files have lone quotes in their text, but spreadsheets write quoted ones.
    """
    candidates = "\t,;|" if suffix == ".tsv" else ",;\t|"
    delimiter = max(candidates, key=lambda mark: len(next(csv.reader(lines[:1], delimiter=mark), [])))
    if delimiter != "\t":
        return delimiter, csv.QUOTE_MINIMAL
    rows = [line.split("\t") for line in lines if line]
    quoted = [cell for row in rows for cell in row if cell.startswith('"')]
    uniform = len({len(row) for row in rows}) <= 1
    proper = bool(quoted) and all(_QUOTED.fullmatch(cell) for cell in quoted)
    return delimiter, csv.QUOTE_NONE if uniform and not proper else csv.QUOTE_MINIMAL


def read_parquet(path: Path) -> Numbered:
    """Rows of a Parquet file, a few hundred in memory at a time."""
    from pyarrow import ArrowException, parquet

    number = 0
    try:
        with parquet.ParquetFile(open_bytes(path) if path.suffix.lower() in COMPRESSED else path) as file:
            for batch in file.iter_batches(batch_size=256):
                yield from enumerate(batch.to_pylist(), number + 1)
                number += len(batch)
    except ArrowException as problem:
        yield number + 1, Malformed("damaged file", f"the rest cannot be read: {problem}")
