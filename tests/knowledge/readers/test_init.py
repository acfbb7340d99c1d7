import pytest

from espalier.errors import RowError
from espalier.knowledge.readers import read
from tests.data.documents.build import docx, hangul, hwpx, pdf, word, zipped

OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def test_content_decides_and_a_wrong_suffix_is_told():
    found = read(pdf([["text"]]), "a.txt", ".txt")
    assert (found.text, found.notes) == ("text", ("read as a PDF document",))
    assert read(docx(word("text")), "a.pdf", ".pdf").notes == ("read as a Word document",)
    assert read(docx(word("text")), "a.docm", ".docm").notes == ()
    assert read(b"text", "a.txt", ".txt") is None


@pytest.mark.parametrize(
    ("data", "suffix", "sentence"),
    [
        (OLD + bytes(99) + "EncryptedPackage".encode("utf-16-le"), ".docx", "is protected by a password; save it"),
        (OLD + bytes(99), ".hwp", "is an old Office or HWP document; save it as .docx, .pptx, .xlsx, .hwpx or PDF"),
        (b"plain", ".docx", "is not a Word document, whatever its name says; it is damaged or needs its right suffix."),
        (zipped({"a.txt": "text"}), ".zip", "is an archive without a document that can be read; unpack it into the"),
        (zipped({}), ".xlsx", "is an archive without a document that can be read"),
        (docx(word(" ")), ".docx", "holds no text."),
        (hwpx(hangul("")), ".hwpx", "holds no text."),
        (b"PK\x03\x04" + bytes(99), ".docx", "is damaged: its archive cannot be opened"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(data, suffix, sentence):
    with pytest.raises(RowError) as problem:
        read(data, f"a{suffix}", suffix)
    assert str(problem.value).startswith(f"a{suffix} {sentence}")
