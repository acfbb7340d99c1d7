import pytest

from espalier.errors import RowError
from espalier.knowledge.readers import read
from tests.data.documents.build import LINES, hangul, hangul_table, hwpx


def text(*sections, **options):
    return read(hwpx(*sections, **options), "a.hwpx", ".hwpx").text


def test_sections_headings_and_tables():
    first = hangul("안내", "1") + "".join(map(hangul, LINES))
    second = hangul("표", "2") + hangul("글", more=hangul_table([["도시", "人口"], ["Jakarta", "10"]]))
    found = read(hwpx(first, second), "a.hwpx", ".hwpx")
    assert found.text == "# 안내\n\n" + "\n\n".join(LINES) + "\n\n## 표\n\n글\n\n도시 | 人口\nJakarta | 10"
    assert found.title == "안내"
    assert read(hwpx(hangul("글"), title="제목"), "a.hwpx", ".hwpx").title == "제목"


def test_marks_notes_and_boxes_are_read_and_headers_are_not():
    marked = "<hp:p><hp:run><hp:t>한<hp:tab/>글<hp:lineBreak/>둘</hp:t></hp:run></hp:p>"
    header = f"<hp:ctrl><hp:header><hp:subList>{hangul('머리말')}</hp:subList></hp:header></hp:ctrl>"
    note = f"<hp:ctrl><hp:footNote><hp:subList>{hangul('각주')}</hp:subList></hp:footNote></hp:ctrl>"
    box = f"<hp:rect><hp:drawText><hp:subList>{hangul('상자')}</hp:subList></hp:drawText></hp:rect>"
    assert text(marked + hangul("본문", more=header + note + box)) == "한 글\n둘\n\n본문\n각주\n상자"


def test_a_table_in_a_cell_is_text_of_the_cell():
    nested = hangul_table([["밖"]]).replace("</hp:t></hp:run>", f"</hp:t>{hangul_table([['안', '쪽']])}</hp:run>")
    assert text(hangul("", more=nested)) == "밖 안 쪽"


def test_a_password_is_said():
    with pytest.raises(RowError, match=r"^a\.hwpx is protected by a password; save it without one\.$"):
        text(hangul("글"), manifest="<odf:encryption-data xmlns:odf='o'/>")
