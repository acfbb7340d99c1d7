import json
import lzma
import os
import unicodedata

import pytest

from espalier.errors import RowError
from espalier.knowledge import documents
from espalier.knowledge.documents import Document, find_documents, read_document, read_rows
from tests.data.documents.build import pptx, shape, xlsx

KOREAN = "# 안내\n\n서울은 대한민국의 수도이다.\n"


def read(folder, name, data):
    (folder / name).write_bytes(data)
    return read_document(folder / name, name)


def test_text_markdown_and_html_are_read(tmp_path):
    assert read(tmp_path, "a.txt", b"one\r\ntwo\rthree") == Document("a.txt", "a", "one\ntwo\nthree")
    assert read(tmp_path, "b.md", KOREAN.encode()) == Document("b.md", "안내", KOREAN)
    page = "<meta charset=euc-kr><title>안내</title><h1>서울</h1><p>수도이다 &amp; 크다.".encode("euc-kr")
    found = read(tmp_path, "c.HTML", page)
    assert found == Document("c.HTML", "안내", "# 서울\n\n수도이다 & 크다.", "cp949", ("read as cp949 (Korean)",))
    assert read(tmp_path, "d.htm", b"<h1>Only a heading</h1>text").title == "Only a heading"
    assert read(tmp_path, "LICENSE", b"# not Markdown").title == "LICENSE"
    assert read(tmp_path, "e.md.xz", lzma.compress(KOREAN.encode())) == Document("e.md.xz", "안내", KOREAN)


def test_other_encodings_are_read_and_said(tmp_path):
    for codec, note in (("cp949", "read as cp949 (Korean)"), ("utf-16", "read as UTF-16")):
        found = read(tmp_path, "a.md", KOREAN.encode(codec))
        assert (found.title, found.text, found.notes) == ("안내", KOREAN, (note,))


def test_text_and_names_are_composed(tmp_path):
    decomposed = unicodedata.normalize("NFD", "한국.txt")
    (tmp_path / decomposed).write_text(unicodedata.normalize("NFD", "한글 é"), encoding="utf-8")
    (name, path), = find_documents(tmp_path)  # fmt: skip
    assert (name, path.name) == ("한국.txt", decomposed)
    assert read_document(path, name).text == "한글 é"
    assert read(tmp_path, "a.html", b"e&#769;").text == "é"


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("a.txt", b"", "a.txt is empty."),
        ("a.txt", b" \n\t ", "a.txt is empty."),
        ("a.txt", b"\xef\xbb\xbf\n", "a.txt holds no text."),
        ("a.html", b"<script>x</script>", "a.html holds no text."),
        ("a.txt", b"x" * 101, "a.txt is larger than 0 MB; split it into smaller documents."),
        ("a.txt.xz", lzma.compress(b"x" * 101), "a.txt.xz is larger than 0 MB; split it into smaller documents."),
        ("a.txt.xz", b"not xz", "a.txt.xz cannot be read: Input format not supported by decoder."),
        (
            "a.docx",
            b"plain",
            "a.docx is not a Word document, whatever its name says; it is damaged or needs its right suffix.",
        ),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path, monkeypatch, name, data, sentence):
    monkeypatch.setattr(documents, "MAX", 100)
    with pytest.raises(RowError) as problem:
        read(tmp_path, name, data)
    assert str(problem.value) == sentence


def test_places_title_and_notes_come_from_the_reader(tmp_path):
    found = read(tmp_path, "제안.txt", pptx([shape("첫째", kind="title"), shape("e\u0301")]))
    assert (found.title, found.text) == ("첫째", "# 첫째\n\n# slide 2\n\n\u00e9")
    assert (found.places, found.notes) == (((0, "slide 1"), (6, "slide 2")), ("read as a presentation",))
    assert read(tmp_path, "b.xlsx", xlsx({"S": "<row><c><v>1</v></c></row>"})).title == "b"


def test_a_parser_that_raises_anything_is_a_failure_of_its_file(tmp_path, monkeypatch):
    def fail(*_):
        raise RecursionError("deep")

    monkeypatch.setattr(documents.readers, "read", fail)
    with pytest.raises(
        RowError, match=r"^a\.pdf is damaged or of a form that is not known here \(RecursionError: deep"
    ):
        read(tmp_path, "a.pdf", b"%PDF-")


def test_a_file_that_changes_while_it_is_read_is_read_again_once(tmp_path, monkeypatch):
    path, opened = tmp_path / "a.txt", documents.open_bytes

    def growing(times):
        path.write_text("one", encoding="utf-8")
        left = iter(range(times))

        def open_bytes(path):
            file = opened(path)
            if next(left, None) is not None:
                with path.open("a", encoding="utf-8") as more:
                    more.write(" more")
            return file

        monkeypatch.setattr(documents, "open_bytes", open_bytes)
        return read_document(path, "a.txt").text

    assert growing(1) == "one more"
    with pytest.raises(RowError, match=r"^a\.txt changed while it was read; run the command again when nothing writes"):
        growing(2)


def test_rows_that_change_while_they_are_read_are_told(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\n', encoding="utf-8")
    rows = read_rows(path, "rows.jsonl")
    assert next(rows).text == "a"
    path.write_text('{"text": "other"}\n', encoding="utf-8")
    assert [row for row in rows if isinstance(row, str)] == [
        "rows.jsonl: it changed while it was read (run the command again when nothing writes it)"
    ]


def test_deep_folders_are_walked(tmp_path):
    here = tmp_path
    for _ in range(200):
        here /= "d"
    here.mkdir(parents=True)
    (here / "a.txt").write_text("deep", encoding="utf-8")
    (name, path), = find_documents(tmp_path)  # fmt: skip
    assert read_document(path, name).text == "deep"


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(RowError, match=r"^pipe.txt is not a file that can be read"):
        read_document(tmp_path / "pipe.txt", "pipe.txt")
    with pytest.raises(RowError, match=r"^gone is no longer there"):
        read_document(tmp_path / "gone", "gone")
    with pytest.raises(RowError, match=r"^loop cannot be read"):
        read_document(tmp_path / "loop", "loop")
    with pytest.raises(RowError, match=r"^pipe.jsonl is not a file that can be read"):
        list(read_rows(tmp_path / "pipe.jsonl", "pipe.jsonl"))


def test_files_are_found_sorted_without_hidden_ones_and_loops(tmp_path):
    for name in ("b.txt", "a/z.md", "a/b/c.txt", ".git/config", "a/.hidden", "ä.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "broken").symlink_to(tmp_path / "gone")
    assert [name for name, _ in find_documents(tmp_path)] == ["a/b/c.txt", "a/z.md", "b.txt", "broken", "ä.txt"]
    assert find_documents(tmp_path / "b.txt") == [("b.txt", tmp_path / "b.txt")]
    with pytest.raises(RowError, match=r"^there is no file or folder '.*gone'; name the folder"):
        find_documents(tmp_path / "gone")


def test_a_name_that_is_not_text_can_be_stored(tmp_path):
    with open(os.fsencode(tmp_path) + b"/caf\xe9.txt", "wb") as file:
        file.write(b"text")
    (name, path), = find_documents(tmp_path)  # fmt: skip
    assert read_document(path, name) == Document("caf\ufffd.txt", "caf\ufffd", "text")


def test_a_folder_that_cannot_be_opened_is_told(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scan(path) if path.name != "locked" else scan("/nonexistent"))
    (name, path), = find_documents(tmp_path)  # fmt: skip
    with pytest.raises(RowError, match=r"^locked is not a file that can be read"):
        read_document(path, name)


def test_rows_are_documents(tmp_path):
    rows = [
        {"_id": "d1", "title": "Seoul", "text": "서울"},
        {"id": 7, "name": "Busan", "text": "a\r\nb"},
        {"text": "no id"},
        {"id": "x", "title": "no text"},
        {"id": "y", "text": "half \ud83d"},
    ]
    path = tmp_path / "rows.jsonl.xz"
    path.write_bytes(lzma.compress("\n".join(map(json.dumps, rows)).encode() + b"\n{broken"))
    *found, first, second, third = read_rows(path, "in/rows.jsonl.xz")
    assert found == [
        Document("in/rows.jsonl.xz#d1", "Seoul", "서울"),
        Document("in/rows.jsonl.xz#7", "Busan", "a\nb"),
        Document("in/rows.jsonl.xz#3", "", "no id"),
    ]
    assert first == "in/rows.jsonl.xz, row 4: it has no text in a field 'text'"
    assert second == "in/rows.jsonl.xz, row 5: it is not valid Unicode"
    assert third.startswith("in/rows.jsonl.xz, row 6: bad JSON (")
    path.write_bytes(b"damaged")
    damaged = "rows.jsonl.xz, row 1: damaged file (the rest cannot be read: Input format not supported by decoder)"
    assert list(read_rows(path, "rows.jsonl.xz")) == [damaged]
