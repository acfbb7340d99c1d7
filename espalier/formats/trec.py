"""TREC's files of a retrieval experiment, each also compressed: topics, relevance judgments (qrels) and runs.

topics    query text, with a tab between; or <top><num>1</num><title>text</title></top>
qrels     query 0 document grade; or BEIR's table: query-id corpus-id score
run       query Q0 document rank score name
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from espalier.errors import RowError
from espalier.formats.fields import encodable
from espalier.formats.text import DAMAGED, open_text
from espalier.maths.ranking import ranked

Judged = dict[str, dict[str, float]]  # by query, the grades of documents
Runs = dict[str, dict[str, float]]  # by query, the scores of documents

HEADER = ("query-id", "corpus-id", "score")  # of BEIR's table
_TOPIC = re.compile(r"<top>(.*?)</top>", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(r"<num>\s*(?:Number:)?\s*([^<\s]+)", re.IGNORECASE)
_TITLE = re.compile(r"<title>\s*(?:Topic:)?\s*([^<]*)", re.IGNORECASE)
_T = TypeVar("_T")


def read_qrels(path: Path) -> Judged:
    """The grades of judged documents, by query.

    Raises:
        RowError: there is no such file, or a line is none of a qrels file.
    """
    found: Judged = {}
    for number, line in _lines(path):
        parts = [part.strip() for part in line.split("\t" if line.count("\t") > 1 else None)]
        if tuple(parts) == HEADER and not found:
            continue
        if len(parts) not in (3, 4):
            raise _wrong(path, number, line, "query 0 document grade, or query document grade behind BEIR's first line")
        grade = _number(path, number, parts[-1], "grade")
        if parts[-2] in found.setdefault(parts[0], {}):
            raise RowError(f"{path.name}, line {number}: {parts[-2]} is judged a second time for query {parts[0]}.")
        found[parts[0]][parts[-2]] = grade
    return _some(path, found, "judgment")


def read_run(path: Path) -> Runs:
    """The scores of retrieved documents, by query; the rank is left out of account, as in trec_eval.

    Raises:
        RowError: there is no such file, or a line is none of a run.
    """
    found: Runs = {}
    for number, line in _lines(path):
        parts = line.split()
        if len(parts) != 6:
            raise _wrong(path, number, line, "query Q0 document rank score name")
        scores = found.setdefault(parts[0], {})
        if parts[2] in scores:
            raise RowError(f"{path.name}, line {number}: {parts[2]} is retrieved a second time for query {parts[0]}.")
        scores[parts[2]] = _number(path, number, parts[4], "score")
    return _some(path, found, "hit")


def read_topics(path: Path) -> dict[str, str]:
    """The text of queries.

    Raises:
        RowError: there is no such file, or a line is no query.
    """
    lines = _lines(path)
    first = next(lines, (0, ""))
    if first[1].lstrip().startswith("<"):
        return _tagged(path, "\n".join(line for _, line in (first, *lines)))
    found: dict[str, str] = {}
    for number, line in filter(lambda one: one[1], (first, *lines)):
        query, tab, text = line.partition("\t")
        if not (tab and text.strip()):
            raise _wrong(path, number, line, "a query's id, a tab, and its text")
        if query.strip() in found:
            raise RowError(f"{path.name}, line {number}: the query {query.strip()} stands there a second time.")
        found[query.strip()] = text.strip()
    return _some(path, found, "query")


def write_qrels(path: Path, qrels: Mapping[str, Mapping[str, float]], *, beir: bool = False) -> None:
    """Write grades, as TREC does or as BEIR does, whole or not at all."""
    lines = ["\t".join(HEADER)] if beir else []
    between = "\t" if beir else " 0 "
    for query, grades in qrels.items():
        lines += [f"{query}{between}{_id(path, d, beir)}{between[0]}{grade:g}" for d, grade in grades.items()]
    _write(path, lines)


def write_run(path: Path, run: Mapping[str, Mapping[str, float]], name: str) -> None:
    """Write scores with their ranks, whole or not at all.

    Args:
        path: the file.
        run: by query, the scores of documents.
        name: of what ranked them; white space in it becomes "_".
    """
    tag, lines = "_".join(name.split()) or "run", []
    for query, scores in run.items():
        order = enumerate(ranked(scores), 1)
        lines += [f"{query} Q0 {_id(path, d)} {rank} {scores[d]!r} {tag}" for rank, d in order]
    _write(path, lines)


def _tagged(path: Path, text: str) -> dict[str, str]:
    found = {}
    for at, topic in enumerate(_TOPIC.findall(text), 1):
        number, title = _NUMBER.search(topic), _TITLE.search(topic)
        if number is None or title is None or not title[1].strip():
            raise RowError(f"{path.name}, topic {at}: it has no <num> with a number or no <title> with a text.")
        found[number[1]] = " ".join(title[1].split())
    return _some(path, found, "topic")


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not empty, with their numbers."""
    number = 0
    try:
        with open_text(path) as file:
            for number, line in enumerate(file, 1):
                if not encodable(line):
                    raise RowError(f"{path.name}, line {number}: it is not valid text; save the file as UTF-8.")
                if line.strip():
                    yield number, line.rstrip("\n")
    except FileNotFoundError:
        raise RowError(f"there is no file {str(path)!r}.") from None
    except IsADirectoryError:
        raise RowError(f"{str(path)!r} is a folder; name a file.") from None
    except DAMAGED as problem:
        raise RowError(f"{path.name}, line {number + 1}: the rest cannot be read: {problem}.") from problem


def _number(path: Path, line: int, text: str, what: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise RowError(f"{path.name}, line {line}: the {what} is {text!r}; it must be a number.")
    return found


def _wrong(path: Path, number: int, line: str, expected: str) -> RowError:
    return RowError(f"{path.name}, line {number}: {line.strip()[:60]!r}; expected {expected}.")


def _some(path: Path, found: _T, what: str) -> _T:
    if not found:
        raise RowError(f"{path.name} holds no {what}.")
    return found


def _id(path: Path, document: str, tabs: bool = False) -> str:
    if not document.strip() or len(document.split("\t" if tabs else None)) != 1:
        raise RowError(f"{path.name}: the id {document!r} has white space, which such a file cannot hold.")
    return document


def _write(path: Path, lines: list[str]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
