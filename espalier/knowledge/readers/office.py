"""What Word, PowerPoint and Excel documents have in common."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element

from espalier.knowledge.readers.archive import Archive


def attribute(element: Element | None, child: str, name: str) -> str:
    """An attribute of a child; "" if there is no such element, child or attribute."""
    found = None if element is None else element.find(child)
    return "" if found is None else found.get(name, "")


def core_title(archive: Archive) -> str:
    """The title in the properties of a document; "" if none."""
    part = "docProps/core.xml"
    found = archive.children(part, "coreProperties") if part in archive else iter(())
    return next((each.text or "" for each in found if each.tag == "title"), "")


def part(related: Mapping[str, tuple[str, str]], kind: str) -> str:
    """The first part of a kind among those that another part refers to; "" if there is none."""
    return next((name for found, name in related.values() if found == kind), "")


def main_part(archive: Archive) -> str:
    """The part with the document itself, "word/document.xml"; "" if this is no Office document."""
    found = part(archive.related(""), "officeDocument")
    return found if found in archive else ""
