import datetime
import io

import pytest

from espalier.knowledge.readers import read
from espalier.knowledge.readers.xlsx import _format, _number
from tests.data.documents.build import LINES, xlsx


def row(*cells):
    return "<row>" + "".join(cells) + "</row>"


def shared(at):
    return f'<c t="s"><v>{at}</v></c>'


def number(value, style=0, where=""):
    return f'<c s="{style}" r="{where}"><v>{value}</v></c>'


def test_sheets_are_places_and_headings_and_empty_ones_are_only_places():
    sheets = {
        "판매": row(*map(shared, range(3))) + row() + row(number(1), number("2.5")),
        "빈": "",
        "北京": row(shared(1)),
    }
    found = read(xlsx(sheets, strings=LINES), "a.xlsx", ".xlsx")
    first = f"# 판매\n\n{' | '.join(LINES)}\n1 | 2.5"
    assert found.text == f"{first}\n\n# 北京\n\n{LINES[1]}"
    assert found.places == ((0, "sheet 판매"), (len(first) + 2, "sheet 빈"), (len(first) + 2, "sheet 北京"))
    assert found.title == ""


def test_numbers_are_shown_in_the_manner_of_their_format():
    formats = [(0, ""), (14, ""), (165, 'yyyy"년" m"월"'), (9, ""), (166, "0.0%"), (167, '"days" 0'), (168, "[Red]0")]
    values = [45351, 45351, 45351.5625, 0.25, 0.125, 7, 8]
    cells = [number(value, style) for style, value in enumerate(values)]
    expected = "45351 | 2024-02-29 | 2024-02-29 13:30 | 25% | 12.5% | 7 | 8"
    assert read(xlsx({"S": row(*cells)}, formats=formats), "a", ".xlsx").text.endswith(expected)
    later = read(xlsx({"S": row(number(0.5, 1))}, formats=formats, settings='<workbookPr date1904="1"/>'), "a", ".xlsx")
    assert later.text.endswith("12:00")
    assert [_format("0", "general"), _format("x", ""), _format("3", "#,##0")] == ["", "", ""]


def test_cells_keep_their_columns_and_every_kind_is_read():
    cells = row(
        number(1, where="B3"), '<c r="D3" t="b"><v>1</v></c>',
        '<c t="inlineStr"><is><t>in</t><r><t>line</t></r><rPh><t>reading</t></rPh></is></c>',
        '<c t="str"><f>A1</f><v>text</v></c>', '<c t="e"><v>#N/A</v></c>', shared(99), '<c r="XFD3"><v>far</v></c>',
    )  # fmt: skip
    assert read(xlsx({"S": cells}), "a", ".xlsx").text == (
        "# S\n\n| 1 |  | TRUE | inline | text | #N/A" + " | " * 32 + "far"
    )
    assert [_number(name) for name in ("A", "Z", "AA", "XFD")] == [0, 25, 26, 16383]


def test_equals_what_openpyxl_wrote():
    openpyxl = pytest.importorskip("openpyxl")
    book, file = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    sheet.title = "판매"
    sheet.append(["지역", "금액", "日期"])
    sheet.append(["서울", 1234.5, datetime.date(2024, 2, 29)])
    sheet.append([None, 0.1 + 0.2, datetime.datetime(2024, 1, 1, 13, 30)])
    book.save(file)
    expected = "# 판매\n\n지역 | 금액 | 日期\n서울 | 1234.5 | 2024-02-29\n| 0.3 | 2024-01-01 13:30"
    assert read(file.getvalue(), "a.xlsx", ".xlsx").text == expected
