"""BEIR's folder of a collection (Thakur et al., 2021): corpus.jsonl, queries.jsonl and qrels/test.tsv."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier.errors import RowError
from espalier.formats.fields import Malformed
from espalier.formats.files import records
from espalier.formats.text import COMPRESSED
from espalier.formats.trec import Judged, read_qrels, write_qrels

_SPLITS = ("test", "dev", "train")  # which qrels are taken, where it is not said


@dataclass(frozen=True)
class Collection:
    """Queries and the grades of documents; `split` names the judgments they are from."""

    queries: dict[str, str]
    qrels: Judged
    split: str


def is_beir(folder: Path) -> bool:
    """Whether a folder has BEIR's queries and judgments."""
    return folder.is_dir() and (folder / "qrels").is_dir() and _file(folder, "queries.jsonl") is not None


def read_beir(folder: Path, split: str | None = None) -> Collection:
    """The judged queries of a folder.

    Args:
        folder: with queries.jsonl and qrels/.
        split: which of qrels/*.tsv; test if there is one, else dev, train or the only one.

    Raises:
        RowError: a file is missing, or a line is not as it should be.
    """
    path = _file(folder, "queries.jsonl")
    if path is None:
        raise RowError(f"{folder} has no queries.jsonl; a folder of BEIR has corpus.jsonl, queries.jsonl and qrels/.")
    splits = {file.name.partition(".")[0]: file for file in sorted((folder / "qrels").glob("*.tsv*"))}
    chosen = split or next((name for name in (*_SPLITS, *splits) if name in splits), "")
    if chosen not in splits:
        has = ", ".join(splits) or "none"
        raise RowError(f"{folder} has no judgments{f' named {split}' if split else ''} in qrels/; it has: {has}.")
    texts = {name: str(row.get("text") or "") for name, row in _rows(path)}
    qrels = read_qrels(splits[chosen])
    if missing := [query for query in qrels if not texts.get(query, "").strip()]:
        raise RowError(
            f"{path.name} has no text for the query {missing[0]!r} of {splits[chosen].name} ({len(missing):,} in all)."
        )
    return Collection({query: texts[query] for query in qrels}, qrels, chosen)


def read_corpus(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Id, title and text of each document."""
    path = _file(folder, "corpus.jsonl")
    if path is None:
        raise RowError(f"{folder} has no corpus.jsonl.")
    for name, row in _rows(path):
        yield name, str(row.get("title") or ""), str(row.get("text") or "")


def write_beir(
    folder: Path,
    corpus: Iterable[tuple[str, str, str]],
    queries: Mapping[str, str],
    qrels: Mapping[str, Mapping[str, float]],
    *,
    split: str = "test",
) -> None:
    """Write a new folder, whole or not at all.

    Args:
        folder: where to; nothing may be there.
        corpus: id, title and text of each document.
        queries: by id.
        qrels: grades by query and document.
        split: what the judgments are called.

    Raises:
        RowError: something is there.
    """
    if folder.exists():
        raise RowError(f"{str(folder)!r} is there already; name another folder to write to.")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        (partial / "qrels").mkdir(parents=True)
        _write(partial / "corpus.jsonl", ({"_id": n, "title": title, "text": text} for n, title, text in corpus))
        _write(partial / "queries.jsonl", ({"_id": name, "text": text} for name, text in queries.items()))
        write_qrels(partial / "qrels" / f"{split}.tsv", qrels, beir=True)
        partial.replace(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _file(folder: Path, name: str) -> Path | None:
    files = (folder / f"{name}{suffix}" for suffix in ("", *COMPRESSED))
    return next((file for file in files if file.is_file()), None)


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for where, row in records(path):
        if isinstance(row, Malformed):
            raise RowError(f"{where}: {row}.")
        name = row.get("_id", row.get("id"))
        if name is None or name == "":
            raise RowError(f"{where}: it has no '_id'.")
        yield str(name), row


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
