"""Presentations (.pptx): every slide is a place; its title is a heading, its tables are rows, its notes come last."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from espalier.knowledge.readers.archive import Archive
from espalier.knowledge.readers.office import core_title
from espalier.knowledge.readers.writer import Extract, Writer

_TITLES = {"title", "ctrTitle"}
_FURNITURE = {"sldNum", "dt", "ftr", "hdr", "sldImg"}  # placeholders that every slide repeats


def read(archive: Archive, main: str) -> Extract:
    """The slides in the order in which they are shown."""
    writer, related = Writer(archive.name), archive.related(main)
    for number, slide in enumerate(archive.children(main, "sldIdLst"), 1):
        kind, part = related.get(slide.get("r:id", ""), ("", ""))
        if kind == "slide":
            _write_slide(writer, archive, part, number)
    return writer.extract(writer.first_heading or core_title(archive))


def _write_slide(writer: Writer, archive: Archive, part: str, number: int) -> None:
    shapes = list(archive.children(part, "spTree"))
    place = f"slide {number}"
    writer.place(place)
    titles = [shape for shape in shapes if _placeholder(shape) in _TITLES]
    title = " ".join("\n".join(_paragraphs(shape)) for shape in titles)
    writer.heading(1, title if title.strip() else place)
    for shape in shapes:
        if shape not in titles:
            _write_shape(writer, shape)
    for kind, notes in archive.related(part).values():
        if kind == "notesSlide":
            for shape in archive.children(notes, "spTree"):
                _write_shape(writer, shape)


def _write_shape(writer: Writer, shape: Element) -> None:
    if shape.tag in ("grpSp", "AlternateContent", "Choice"):
        for child in shape:
            _write_shape(writer, child)
    elif shape.tag == "graphicFrame":
        for table in shape.iter("tbl"):
            writer.end_table()
            for row in table.iter("tr"):
                writer.row("\n".join(_paragraphs(cell)) for cell in row.iter("tc"))
            writer.end_table()
    elif _placeholder(shape) not in _FURNITURE:
        writer.paragraph("\n".join(_paragraphs(shape)))


def _placeholder(shape: Element) -> str:
    """What a shape is on its slide: "title", "body", "sldNum"; "" for any other."""
    found = next(shape.iter("ph"), None)
    return "" if found is None else found.get("type", "body")


def _paragraphs(shape: Element) -> Iterator[str]:
    for paragraph in shape.iter("p"):
        yield "".join("\n" if run.tag == "br" else run.text or "" for run in paragraph.iter() if run.tag in ("t", "br"))
