"""PDF documents: every page is a place, the outline's entries are headings; read by PDFium in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from espalier.errors import RowError
from espalier.knowledge.readers.writer import Extract, Writer

SECONDS = 600  # that one document may take
WORKER = "espalier.knowledge.readers.pdf_worker"  # the module that is run

_TITLE_LINES = 3  # that a heading takes at most
_NUMBERING = 12  # characters before the title of a bookmark, "4.1 " or "Chapter 4: ", that its line may have
_NO_TITLE = re.compile(r"\.\w{2,5}$|^untitled\b|^microsoft word\b|^\W*$", re.IGNORECASE)  # what programs put there


def read(data: bytes, name: str) -> Extract:
    """The text of every page in the order in which the file draws it."""
    found = _worked(data, name)
    if "error" in found:
        if found["password"]:
            raise RowError(f"{name} is protected by a password; save it without one.")
        raise RowError(f"{name} is damaged: {found['error'].rstrip('.')}.")
    pages = found["pages"]
    blank = [number for number, page in enumerate(pages, 1) if not page.strip()]
    if len(blank) == len(pages):
        raise RowError(
            f"{name} has no text on its {len(pages):,} page{'s' * (len(pages) != 1)}: it is scanned or drawn. "
            "Run text recognition (OCR) on it, for example with ocrmypdf."
        )
    writer = Writer(name)
    for number, page in enumerate(pages, 1):
        writer.place(f"page {number}")
        _write_page(writer, page, [(level, title) for level, title, at in found["outline"] if at == number - 1])
    title = "" if _NO_TITLE.search(found["title"].strip()) else found["title"]
    return writer.extract(title, [f"no text on {_listed(blank)}"] if blank else [])


def _worked(data: bytes, name: str) -> dict[str, Any]:
    """What the process wrote."""
    if importlib.util.find_spec("pypdfium2") is None:
        raise RowError(f"{name}: reading PDF needs pypdfium2: pip install 'espalier-lm[retrieval]'.")
    command = [sys.executable, "-m", WORKER]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, env=paths, check=False)
    except subprocess.TimeoutExpired:
        raise RowError(f"{name} takes longer than {SECONDS} s to read; split it, or print it into a new PDF.") from None
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2] or f"signal {-done.returncode}"
        raise RowError(f"{name} cannot be read: it is damaged or too complex ({why}). Print it into a new PDF.")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _write_page(writer: Writer, page: str, bookmarks: list[tuple[int, str]]) -> None:
    """A page; the lines that have the title of a bookmark are headings, and what has none begins with it."""
    lines = page.splitlines()
    for level, title in bookmarks:
        start, end = _found(lines, title)
        writer.paragraph("\n".join(lines[:start]))
        writer.heading(level, " ".join(lines[start:end]) or title)
        lines = lines[end:]
    writer.paragraph("\n".join(lines))


def _found(lines: list[str], title: str) -> tuple[int, int]:
    """The lines that have a title; none of them, at the beginning, if it is not there."""
    wanted = _letters(title)
    for count in range(1, _TITLE_LINES + 1) if wanted else ():
        for start in range(len(lines) - count + 1):
            line = _letters("".join(lines[start : start + count]))
            before = line.removesuffix(wanted)
            if before != line and (not before or (len(before) <= _NUMBERING and re.search(r"\d|^[ivx]+$", before))):
                return start, start + count
    return 0, 0


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _listed(numbers: list[int]) -> str:
    """Pages in words: "page 3", "pages 1, 4 to 6"."""
    runs = [f"{first}" if first == last else f"{first} to {last}" for first, last in _runs(numbers)]
    shown = ", ".join(runs[:5]) + (" and more" if len(runs) > 5 else "")
    return f"page{'s' * (len(numbers) > 1)} {shown}"


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last
