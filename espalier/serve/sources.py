"""Sources of an answer: numbered in its text, listed as Markdown links under it, and as a table for programs.

What a model or a document says cannot pass for a number or a link of ours: brackets in it lose their meaning.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from espalier.contracts import Answer, Citation, Hit

HEADING = "Sources:"
_MARK = re.compile(r"\[(\d+[a-z]?)\]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#!|~])")
_LONGEST_NAME = 120  # characters of a document's name in a list


def unmarked(text: str) -> str:
    """A text without anything that looks like a number of ours: "[1]" is "(1)"."""
    return _MARK.sub(r"(\1)", text)


def plain(text: str) -> str:
    """A text on one line that Markdown shows as it is."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    line = line if len(line) <= _LONGEST_NAME else f"{line[:_LONGEST_NAME]}..."
    return _MARKDOWN.sub(r"\\\1", line)


def table(answer: Answer, index: str) -> dict[str, Any]:
    """What stands beside the text: each citation with its number and title, and the passages that were shown."""
    citations = [
        {"number": number, "index": index, **asdict(citation), "title": _title(citation, answer.hits)}
        for number, citation in enumerate(answer.citations, 1)
    ]
    passages = [
        {name: value for name, value in asdict(hit).items() if name != "parts"} | {"end": hit.start + len(hit.text)}
        for hit in answer.hits
    ]
    return {"citations": citations, "passages": passages, "spent": dict(answer.spent)}


def tail(citations: Sequence[dict[str, Any]], base: str, secret: str) -> str:
    """What stands behind an answer's text: the numbers of its sources, and a list of them.

    Args:
        citations: as `table` gives them.
        base: the address under which the client knows this server.
        secret: signs the links of a server that has a key, for a browser sends none; "" where there is none.
    """
    if not citations:
        return ""
    marks = "".join(f"[{citation['number']}]" for citation in citations)
    return f" {marks}\n\n{HEADING}\n" + "".join(_line(citation, base, secret) for citation in citations)


def _line(citation: dict[str, Any], base: str, secret: str) -> str:
    number = f"\n{citation['number']}. "
    if not citation["verified"]:
        return f"{number}not found in the documents: {plain(citation['quote'])}"
    name = plain(citation["title"] or citation["document"])
    where = f", {plain(citation['place'])}" if citation["place"] else ""
    return f"{number}[{name}]({link(citation, base, secret)}){where}: {plain(citation['quote'])}"


def link(citation: dict[str, Any], base: str, secret: str) -> str:
    """The address at which this server shows a source."""
    where = {name: str(citation[name]) for name in ("index", "document", "start", "end")}
    signed = {"sign": signature(where, secret)} if secret else {}
    return f"{base.rstrip('/')}/source?{urlencode({**where, **signed})}"


def signature(where: dict[str, str], secret: str) -> str:
    """What shows that a link to a source was made here."""
    text = "\x1f".join(where[name] for name in ("index", "document", "start", "end"))
    return hmac.new(secret.encode(), f"source\x1f{text}".encode(), hashlib.sha256).hexdigest()


def within(citation: Citation, hit: Hit) -> bool:
    """Whether a citation stands in a passage."""
    there = citation.verified and hit.document == citation.document
    return there and hit.start <= citation.start and citation.end <= hit.start + len(hit.text)


def _title(citation: Citation, hits: Sequence[Hit]) -> str:
    return next((hit.title for hit in hits if within(citation, hit)), "")
