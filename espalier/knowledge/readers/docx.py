"""Word documents (.docx): paragraphs, headings by their style, tables as rows, and notes at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from xml.etree.ElementTree import Element

from espalier.knowledge.readers.archive import Archive
from espalier.knowledge.readers.office import attribute, core_title, part
from espalier.knowledge.readers.writer import Extract, Writer

_WRAPPERS = {"sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag"}  # blocks inside are blocks of the text
_UNSEEN = {"pPr", "rPr", "del", "moveFrom", "instrText", "Fallback"}  # what was deleted, or is there twice
_MARKS = {"tab": " ", "br": "\n", "cr": "\n", "noBreakHyphen": "-", "p": "\n"}


def read(archive: Archive, main: str) -> Extract:
    """The text of a document in the order of its XML."""
    writer, related = Writer(archive.name), archive.related(main)
    styles = part(related, "styles")
    levels = _heading_levels(list(archive.children(styles, "styles")) if styles else [])
    _write(writer, archive.children(main, "body"), levels)
    for kind in ("footnotes", "endnotes"):
        if notes := part(related, kind):
            for note in archive.children(notes, kind):
                _write(writer, note, levels)
    return writer.extract(writer.first_heading or core_title(archive))


def _write(writer: Writer, blocks: Iterable[Element], levels: dict[str, int]) -> None:
    for block in blocks:
        if block.tag == "p":
            _write_paragraph(writer, block, levels)
        elif block.tag == "tbl":
            writer.end_table()
            for row in _parts(block, "tr"):
                writer.row("".join(_inline(cell)) for cell in _parts(row, "tc"))
            writer.end_table()
        elif block.tag in _WRAPPERS:
            _write(writer, block, levels)


def _parts(element: Element, tag: str) -> Iterator[Element]:
    """The rows of a table or the cells of a row; a table in a cell is part of that cell."""
    for child in element:
        if child.tag == tag:
            yield child
        elif child.tag in _WRAPPERS:
            yield from _parts(child, tag)


def _write_paragraph(writer: Writer, paragraph: Element, levels: dict[str, int]) -> None:
    text = "".join(_inline(paragraph))
    properties = paragraph.find("pPr")
    style = attribute(properties, "pStyle", "val")
    own = attribute(properties, "outlineLvl", "val")
    level = int(own) + 1 if own.isdecimal() and int(own) < 9 else levels.get(style, 0)
    if level:
        writer.heading(level, text)
    elif properties is not None and properties.find("numPr") is not None and text.strip():
        writer.paragraph(f"- {text}")
    else:
        writer.paragraph(text)


def _inline(element: Element) -> Iterator[str]:
    """The text inside an element, the paragraphs of text boxes and of cells on lines of their own."""
    for child in element:
        if child.tag == "t":
            yield child.text or ""
        elif child.tag not in _UNSEEN:
            yield _MARKS.get(str(child.tag), "")
            yield from _inline(child)


def _heading_levels(styles: list[Element]) -> dict[str, int]:
    """The level of each style that is one of a heading, by its own name or that of the style it is based on."""
    found: dict[str, int] = {}
    for style in styles:
        name, outline = attribute(style, "name", "val").lower(), attribute(style.find("pPr"), "outlineLvl", "val")
        number = name.removeprefix("heading ")
        if name == "title":
            found[style.get("styleId", "")] = 1
        elif number != name and number.isdecimal():
            found[style.get("styleId", "")] = int(number)
        elif outline.isdecimal() and int(outline) < 9:
            found[style.get("styleId", "")] = int(outline) + 1
    for style in styles:
        parent = attribute(style, "basedOn", "val")
        if parent in found:
            found.setdefault(style.get("styleId", ""), found[parent])
    return found
