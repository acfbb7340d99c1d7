"""A process that reads one PDF from standard input and writes its pages and outline as JSON.

PDFium is C++ and PDFs are hostile at times: what makes it crash, run for ever or fill the memory ends this process
and nothing else. `pdf` starts it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

SECONDS_PER_PAGE = 20
MEMORY = 4_000_000_000  # bytes of addresses
CHARACTERS = 60_000_000  # a little more than a document may have
PASSWORD = 4  # PDFium's number for the error
HYPHEN = "\ufffe"  # what PDFium puts in place of one that ends a line inside a word, and joins the lines


def main() -> None:
    """Read, and write one object: "pages", "outline" and "title", or "error"."""
    _limit_memory()
    import pypdfium2

    _limit_time()
    try:
        document = pypdfium2.PdfDocument(sys.stdin.buffer.read())
    except pypdfium2.PdfiumError as problem:
        found: dict[str, Any] = {"error": str(problem), "password": getattr(problem, "err_code", 0) == PASSWORD}
    else:
        found = {"pages": _pages(document), "outline": _outline(document), "title": _title(document)}
    json.dump(found, sys.stdout)


def _pages(document: Any) -> list[str]:
    pages, left = [], CHARACTERS
    for number in range(len(document)):
        _limit_time()
        page = document[number]
        text = page.get_textpage().get_text_range().replace(HYPHEN, "") if left > 0 else ""
        page.close()
        left -= len(text)
        pages.append(text)
    return pages


def _outline(document: Any) -> list[tuple[int, str, int]]:
    """Level from 1, title and number of the page from 0 of every bookmark that has them."""
    _limit_time()
    found = []
    for mark in document.get_toc():
        place = mark.get_dest()
        page = None if place is None else place.get_index()
        if page is not None:
            found.append((mark.level + 1, str(mark.get_title()), int(page)))
    return found


def _title(document: Any) -> str:
    return str(document.get_metadata_dict().get("Title") or "")


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or hard > MEMORY:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))


def _limit_time() -> None:
    """From now on, so many seconds."""
    try:
        from signal import alarm
    except ImportError:  # Windows
        return
    alarm(SECONDS_PER_PAGE)


if __name__ == "__main__":
    main()
