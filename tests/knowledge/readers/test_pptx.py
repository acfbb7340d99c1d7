import io

import pytest

from espalier.knowledge.readers import read
from tests.data.documents.build import LINES, pptx, shape, slide_table


def test_slides_are_places_in_the_order_of_the_presentation():
    first = shape("제목", kind="title") + shape(*LINES) + slide_table([["도시", "人口"], ["Jakarta", "10"]])
    found = read(pptx([first, shape("no title")]), "a.pptx", ".pptx")
    head = "# 제목\n\n" + "\n".join(LINES) + "\n\n도시 | 人口\nJakarta | 10"
    assert found.text == head + "\n\n# slide 2\n\nno title"
    assert found.places == ((0, "slide 1"), (len(head) + 2, "slide 2"))
    assert found.text[found.places[1][0] :].startswith("# slide 2")
    assert found.title == "제목"


def test_groups_and_notes_are_read_and_numbers_of_slides_are_not():
    group = f"<p:grpSp>{shape('inside')}</p:grpSp>"
    slide = shape("T", kind="ctrTitle") + group + shape("3", kind="sldNum")
    notes = shape("say this", kind="body") + shape("1", kind="sldNum")
    assert read(pptx([slide], notes=notes), "a.pptx", ".pptx").text == "# T\n\ninside\n\nsay this"


def test_equals_what_python_pptx_wrote():
    pptx_ = pytest.importorskip("pptx")
    deck, file = pptx_.Presentation(), io.BytesIO()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = "첫 슬라이드", "\n".join(LINES)
    slide.notes_slide.notes_text_frame.text = "메모"
    table = deck.slides.add_slide(deck.slide_layouts[6]).shapes.add_table(1, 2, 0, 0, 1, 1).table
    table.cell(0, 0).text, table.cell(0, 1).text = "Kota", "人口"
    deck.save(file)
    found = read(file.getvalue(), "a.pptx", ".pptx")
    assert found.text == "# 첫 슬라이드\n\n" + "\n".join(LINES) + "\n\n메모\n\n# slide 2\n\nKota | 人口"
