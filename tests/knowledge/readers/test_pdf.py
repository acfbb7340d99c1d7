import pytest

from espalier.errors import RowError
from espalier.knowledge.readers import pdf as module
from espalier.knowledge.readers import read
from tests.data.documents.build import LINES, pdf


@pytest.fixture
def pages(monkeypatch):
    """What the process would have found, without one."""

    def given(*texts, outline=(), title=""):
        found = {"pages": list(texts), "outline": list(outline), "title": title}
        monkeypatch.setattr(module, "_worked", lambda data, name: found)
        return module.read(b"", "a.pdf")

    return given


def test_pages_are_places_and_the_outline_gives_headings():
    data = pdf([LINES, ["Pengantar", "1.2 큰 도시", "Jakarta.", "北京"], []], outline=[("큰 도시", 1)], title="안내서")
    found = read(data, "a.pdf", ".pdf")
    first = "\n".join(LINES)
    assert found.text == f"{first}\n\nPengantar\n\n# 1.2 큰 도시\n\nJakarta.\n北京"
    end = len(found.text)
    assert found.places == ((0, "page 1"), (len(first) + 2, "page 2"), (end, "page 3"))
    assert (found.title, found.notes) == ("안내서", ("no text on page 3",))


def test_a_heading_may_take_lines_or_be_missing(pages):
    outline = [(1, "A long title", 0), (2, "Nowhere", 0), (1, "", 0)]
    assert pages("Chapter 2:\nA long\ntitle\ntext", outline=outline).text == (
        "Chapter 2:\n\n# A long title\n\n## Nowhere\n\ntext"
    )
    assert pages("Text about a big city.\nBig city", outline=[(1, "Big City", 0)]).text.endswith("\n\n# Big city")


@pytest.mark.parametrize(
    ("given", "title"), [("안내", "안내"), ("Microsoft Word - a.docx", ""), ("x.tex", ""), (" ", "")]
)
def test_a_title_that_a_program_put_there_is_none(pages, given, title):
    assert pages("text", title=given).title == title


def test_blank_pages_are_listed(pages):
    assert pages("a", "", "", "b", "", "c", " ").notes == ("no text on pages 2 to 3, 5, 7",)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (pdf([[], []]), "a.pdf has no text on its 2 pages: it is scanned or drawn. Run text recognition"),
        (pdf([LINES], protected=True), "a.pdf is protected by a password; save it without one."),
        (b"%PDF-1.7\nnothing", "a.pdf is damaged: "),
        (b"<html>Not found</html>", "a.pdf is not a PDF document, whatever its name says; it is damaged or needs"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(data, sentence):
    with pytest.raises(RowError) as problem:
        read(data, "a.pdf", ".pdf")
    assert str(problem.value).startswith(sentence)


def test_a_process_that_dies_or_takes_too_long_is_a_failure_of_its_file(monkeypatch, tmp_path):
    (tmp_path / "dying.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGALRM)")
    (tmp_path / "waiting.py").write_text("import time\ntime.sleep(60)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(module, "WORKER", "dying")
    with pytest.raises(RowError, match=r"^a\.pdf cannot be read: it is damaged or too complex \(.*Print it into"):
        module.read(b"%PDF-", "a.pdf")
    monkeypatch.setattr(module, "WORKER", "waiting")
    monkeypatch.setattr(module, "SECONDS", 0.05)
    with pytest.raises(RowError, match=r"^a\.pdf takes longer than 0\.05 s to read; split it"):
        module.read(b"%PDF-", "a.pdf")


def test_without_its_package_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RowError, match=r"^a\.pdf: reading PDF needs pypdfium2: pip install 'espalier-lm\[retrieval\]'"):
        module.read(b"%PDF-", "a.pdf")
