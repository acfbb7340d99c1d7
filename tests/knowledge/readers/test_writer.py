import pytest

from espalier.errors import RowError
from espalier.knowledge.readers import writer as module
from espalier.knowledge.readers.writer import Writer


def test_blocks_places_and_composed_text():
    writer = Writer("a")
    writer.place("page 1")
    writer.heading(9, " A \n heading ")
    writer.paragraph("  e\u0301  one \n\n two\x00")
    writer.place("page 2")
    writer.row(["a", " b\nc ", ""])
    writer.row(["d", ""])
    writer.end_table()
    writer.row(["e"])
    writer.paragraph("   ")
    writer.place("page 3")
    found = writer.extract(" T ", ["note"])
    assert found.text == "###### A heading\n\n\u00e9 one\ntwo\ufffd\n\na | b c\nd\n\ne"
    assert found.places == ((0, "page 1"), (found.text.index("a |"), "page 2"), (len(found.text), "page 3"))
    assert (found.title, found.notes, writer.first_heading) == ("T", ("note",), "A heading")


def test_a_text_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(module, "CHARACTERS", 10)
    writer = Writer("a.docx")
    writer.paragraph("12345")
    with pytest.raises(RowError, match=r"^a\.docx holds more than 0 million characters; split it\.$"):
        writer.paragraph("12345")
