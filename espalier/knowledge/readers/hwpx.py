"""Hangul documents (.hwpx): paragraphs, outline levels as headings, tables as rows, notes where they are called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from espalier.errors import RowError
from espalier.knowledge.readers.archive import Archive
from espalier.knowledge.readers.writer import Extract, Writer

MAIN = "Contents/header.xml"

_SECTION = re.compile(r"Contents/section(\d+)\.xml")
_MANIFEST = "META-INF/manifest.xml"
_UNSEEN = {"secPr", "header", "footer", "fieldBegin", "hiddenComment", "shapeComment", "deleteBegin", "script"}
_MARKS = {"lineBreak": "\n", "tab": " ", "nbSpace": " ", "fwSpace": " ", "hyphen": "-", "p": "\n"}


def read(archive: Archive) -> Extract:
    """The sections in the order of their numbers."""
    if _MANIFEST in archive and b"encryption-data" in archive.read(_MANIFEST):
        raise RowError(f"{archive.name} is protected by a password; save it without one.")
    writer, levels = Writer(archive.name), _levels(archive)
    sections = sorted((int(found[1]), found[0]) for found in map(_SECTION.fullmatch, archive.names()) if found)
    for _, part in sections:
        for paragraph in archive.children(part, "sec"):
            _write(writer, paragraph, levels)
    return writer.extract(writer.first_heading or _title(archive))


def _title(archive: Archive) -> str:
    part = "Contents/content.hpf"
    found = archive.children(part, "metadata") if part in archive else iter(())
    return next((each.text or "" for each in found if each.tag == "title"), "")


def _levels(archive: Archive) -> dict[str, int]:
    """By the id of a paragraph's format, the level of the heading that it makes."""
    found = {}
    for paragraph in archive.children(MAIN, "paraProperties"):
        for heading in paragraph.iter("heading"):
            if heading.get("type") == "OUTLINE" and heading.get("level", "").isdecimal():
                found[paragraph.get("id", "")] = int(heading.get("level", "")) + 1
    return found


def _write(writer: Writer, paragraph: Element, levels: dict[str, int]) -> None:
    """A paragraph, and after it the tables that stand in it."""
    text, level = "".join(_inline(paragraph)), levels.get(paragraph.get("paraPrIDRef", ""), 0)
    if level:
        writer.heading(level, text)
    else:
        writer.paragraph(text)
    for table in _tables(paragraph):
        writer.end_table()
        for row in table:
            if row.tag == "tr":
                writer.row(" ".join(_inline(cell, tables=True)) for cell in row if cell.tag == "tc")
        writer.end_table()


def _tables(element: Element) -> Iterator[Element]:
    """The tables in an element; one inside another is part of a cell of that."""
    for child in element:
        if child.tag == "tbl":
            yield child
        elif child.tag not in _UNSEEN:
            yield from _tables(child)


def _inline(element: Element, *, tables: bool = False) -> Iterator[str]:
    for child in element:
        if child.tag == "t":
            yield child.text or ""
            for mark in child:
                yield _MARKS.get(str(mark.tag), "")
                yield mark.tail or ""
        elif child.tag not in _UNSEEN and (tables or child.tag != "tbl"):
            yield _MARKS.get(str(child.tag), "")
            yield from _inline(child, tables=tables)
