"""Workbooks (.xlsx): every sheet is a place and a heading; rows are "a | b | c", formulas what they last came to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from xml.etree.ElementTree import Element

from espalier.knowledge.readers.archive import Archive
from espalier.knowledge.readers.office import core_title, part
from espalier.knowledge.readers.writer import Extract, Writer

_DATES = {*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)}  # numbers of built-in formats
_PERCENT = {9, 10}
_LITERAL = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.')  # text, colors and padding in a format
_LAST_DAY = 2_958_466  # the year 10000
_WIDEST_GAP = 30  # empty cells between two that are shown as such
_COLUMN = re.compile(r"([A-Z]{1,3})\d")


def read(archive: Archive, main: str) -> Extract:
    """The sheets in the order of their tabs."""
    writer, related = Writer(archive.name), archive.related(main)
    settings = list(archive.children(main, "workbook"))
    epoch = next((each.get("date1904") for each in settings if each.tag == "workbookPr"), "")
    value = _values(_strings(archive, related), _formats(archive, related), epoch in ("1", "true"))
    for sheet in (sheet for each in settings if each.tag == "sheets" for sheet in each):
        kind, rows_part = related.get(sheet.get("r:id", ""), ("", ""))
        if kind == "worksheet":
            name = sheet.get("name", "")
            writer.place(f"sheet {name}")
            rows = ([value(cell) for cell in _aligned(row)] for row in archive.children(rows_part, "sheetData"))
            filled = (row for row in rows if any(row))
            for number, row in enumerate(filled):
                if not number:
                    writer.heading(1, name)
                writer.row(row)
    return writer.extract(core_title(archive))


def _aligned(row: Element) -> Iterator[Element | None]:
    """The cells of a row, with None for those left out before another."""
    at = 0
    for cell in row.iter("c"):
        found = _COLUMN.match(cell.get("r", ""))
        column = _number(found[1]) if found else at
        yield from [None] * min(column - at, _WIDEST_GAP)
        yield cell
        at = column + 1


def _number(letters: str) -> int:
    """A column's number from 0: A is 0, AA 26."""
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number - 1


def _values(strings: list[str], formats: list[str], is_1904: bool) -> Callable[[Element | None], str]:
    """What a cell shows, of the strings and formats of its workbook."""
    zero = datetime(1904, 1, 1) if is_1904 else datetime(1899, 12, 30)

    def value(cell: Element | None) -> str:
        if cell is None:
            return ""
        kind, text = cell.get("t", "n"), cell.findtext("v") or ""
        if kind == "inlineStr":
            return _text(cell)
        if kind == "s":
            return strings[int(text)] if text.isdecimal() and int(text) < len(strings) else ""
        if kind == "b":
            return {"1": "TRUE", "0": "FALSE"}.get(text, text)
        style = cell.get("s", "0")
        style_format = formats[int(style)] if style.isdecimal() and int(style) < len(formats) else ""
        return _shown(text, style_format, zero) if kind == "n" else text

    return value


def _shown(text: str, style: str, zero: datetime) -> str:
    """A number in the manner of its format."""
    try:
        number = float(text)
    except ValueError:
        return text
    if style == "percent":
        return f"{100 * number:.10g}%"
    if style != "date" or not 0 <= number < _LAST_DAY:
        return f"{number:.15g}"
    moment = zero + timedelta(seconds=round(86400 * number))
    clock = f"{moment:%H:%M:%S}".removesuffix(":00")
    day = moment.date().isoformat()
    return clock if number < 1 else day if number == int(number) else f"{day} {clock}"


def _text(element: Element) -> str:
    """The text of a string, without the reading aids of Japanese."""
    return "".join(
        (child.text or "") if child.tag == "t" else _text(child) for child in element if child.tag in ("t", "r", "is")
    )


def _strings(archive: Archive, related: dict[str, tuple[str, str]]) -> list[str]:
    found = part(related, "sharedStrings")
    return [_text(each) for each in archive.children(found, "sst")] if found else []


def _formats(archive: Archive, related: dict[str, tuple[str, str]]) -> list[str]:
    """For each style of a cell "date", "percent" or ""."""
    found = part(related, "styles")
    if not found:
        return []
    sheet = list(archive.children(found, "styleSheet"))
    codes = {
        each.get("numFmtId", ""): _LITERAL.sub("", each.get("formatCode", "")).lower()
        for table in sheet if table.tag == "numFmts" for each in table
    }  # fmt: skip
    styles = [each.get("numFmtId", "0") for table in sheet if table.tag == "cellXfs" for each in table]
    return [_format(style, codes.get(style, "")) for style in styles]


def _format(number: str, code: str) -> str:
    known = int(number) if number.isdecimal() else 0
    if known in _DATES or (set("ymdhs") & set(code) and "general" not in code):
        return "date"
    return "percent" if known in _PERCENT or "%" in code else ""
