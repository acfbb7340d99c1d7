"""Files of rows, read one row at a time: JSON Lines, JSON, CSV, TSV and Parquet, each also compressed.

A record is where it stands ("pairs.jsonl, row 17") and either the row or the reason it cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from espalier.formats.fields import Fields, Malformed
from espalier.formats.jsons import read_json
from espalier.formats.tables import read_csv, read_parquet
from espalier.formats.text import DAMAGED, ENCODINGS, encoding_of, plain_suffix

Record = tuple[str, Fields | Malformed]

READ = {
    ".jsonl": read_json,
    ".ndjson": read_json,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".parquet": read_parquet,
}


def records(path: Path) -> Iterator[Record]:
    """The records of a file; damage ends it with a reason."""
    number = 0
    try:
        for number, value in READ[plain_suffix(path)](path):
            yield f"{path.name}, row {number}", value
    except DAMAGED as problem:
        yield f"{path.name}, row {number + 1}", Malformed("damaged file", f"the rest cannot be read: {problem}")


def note(path: Path) -> str:
    """What is worth telling about how a file is read; "" for UTF-8."""
    try:
        encoding = "utf-8-sig" if plain_suffix(path) == ".parquet" else encoding_of(path)
    except DAMAGED:
        return ""
    return "" if encoding == "utf-8-sig" else f"encoding {ENCODINGS[encoding]}"
