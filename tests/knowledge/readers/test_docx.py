import io

import pytest

from espalier.knowledge.readers import read
from tests.data.documents.build import LINES, docx, word, word_table


def text(body, **parts):
    return read(docx(body, **parts), "a.docx", ".docx").text


def test_headings_paragraphs_and_tables_in_any_language():
    body = (
        word("안내", "T")
        + "".join(map(word, LINES))
        + word("표", "H2")
        + word_table([["도시", "人口"], ["Jakarta", ""]])
    )
    found = read(docx(body), "a.docx", ".docx")
    assert found.text == "# 안내\n\n" + "\n\n".join(LINES) + "\n\n## 표\n\n도시 | 人口\nJakarta"
    assert (found.title, found.places, found.notes) == ("안내", (), ())


def test_a_heading_is_known_by_name_base_or_level_of_its_style_or_its_own_level():
    own = '<w:outlineLvl w:val="1"/>'
    assert text(word("a", "H1") + word("b", "Own") + word("c", "L") + word("d", more=own)) == (
        "# a\n\n## b\n\n### c\n\n## d"
    )
    assert text(word("body", more='<w:outlineLvl w:val="9"/>') + word("x", "Unknown")) == "body\n\nx"


def test_lists_breaks_boxes_and_what_was_deleted():
    listed = word("one", more="<w:numPr/>")
    gone = "<w:del><w:r><w:t>gone</w:t></w:r></w:del>"
    run = f"<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r>{gone}</w:p>"
    box = "<w:p><w:r><w:t>x</w:t><w:box><w:txbxContent>" + word("in a box") + "</w:txbxContent></w:box></w:r></w:p>"
    inside = f"<w:sdt><w:sdtContent>{word('held')}</w:sdtContent></w:sdt>"
    assert text(listed + run + box + inside) == "- one\n\na b\nc\n\nx\nin a box\n\nheld"


def test_notes_stand_at_the_end_and_a_title_of_the_properties_is_the_last_resort():
    found = read(docx(word("text"), foot=f"<w:footnote>{word('a note')}</w:footnote>", title="안내"), "a.docx", ".docx")
    assert (found.title, found.text) == ("안내", "text\n\na note")


def test_tables_that_follow_each_other_and_text_in_composed_form():
    assert text(word_table([["a"]]) + word_table([["b"]]) + word("e\u0301")) == "a\n\nb\n\n\u00e9"


def test_a_table_in_a_cell_is_text_of_the_cell():
    nested = word_table([["out", "x"]]).replace("</w:tc>", word_table([["in", "side"]]) + "</w:tc>", 1)
    assert text(nested) == "out in side | x"


def test_equals_what_python_docx_wrote():
    docx_ = pytest.importorskip("docx")
    document, file = docx_.Document(), io.BytesIO()
    document.add_heading("연차 보고서", 0)
    document.add_heading("北京", 2)
    for line in LINES:
        document.add_paragraph(line)
    table = document.add_table(2, 2)
    for at, cell in enumerate(cell for row in table.rows for cell in row.cells):
        cell.text = f"칸 {at}"
    document.save(file)
    expected = "# 연차 보고서\n\n## 北京\n\n" + "\n\n".join(LINES) + "\n\n칸 0 | 칸 1\n칸 2 | 칸 3"
    assert read(file.getvalue(), "a.docx", ".docx").text == expected
