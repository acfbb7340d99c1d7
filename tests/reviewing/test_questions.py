"""Questions accepted, edited and refused: each decision is in the file, and can be taken back."""

import pytest

from espalier.errors import RowError
from espalier.reviewing import questions
from espalier.reviewing.questions import Questions
from espalier.rows import read
from tests.reviewing.conftest import TEXT, asking, lines, question


def reviews(desk):
    return [item["review"] for item in desk.state()["items"]]


def test_the_passage_comes_in_three_pieces_with_the_quote_in_the_middle(file):
    item = Questions(file).state()["items"][0]
    assert "".join(item["passage"]) == TEXT and item["passage"][1] == item["quote"] == "Two minutes are enough."
    assert (item["source"], item["title"], item["answers"]) == ("tea.md", "Tea", ["two"])


def test_each_decision_is_written_and_gone_on_with(file):
    with asking(Questions(file)) as client:
        said = client.post("act", json={"at": 0, "verdict": "accepted"}).json()
        assert said["counts"] == {"accepted": 1, "edited": 0, "refused": 0, "left": 2}
        client.post("act", json={"at": 1, "verdict": "refused"})
        assert [row.get("review") for row in lines(file)] == ["accepted", None]
    aside = file.with_name("questions.refused.jsonl")
    assert [row["id"] for row in lines(aside)] == ["q1"] and len(list(read(file))) == 2
    again = Questions(file)
    assert reviews(again) == ["accepted", "refused", None] and again.rows[1]["id"] == "q1"
    again.act({"at": 1, "verdict": None})
    again.act({"at": 0, "verdict": None})
    assert lines(file) == [question(n) for n in range(3)] and lines(aside) == []
    assert reviews(Questions(file)) == [None, None, None]


def test_what_is_edited_moves_its_quote_with_it(file):
    desk = Questions(file)
    typed = {"question": " Which\ntemperature? ", "answers": ["80 degrees", " "], "quote": "brewed at 80 degrees."}
    desk.act({"at": 2, "verdict": "edited", **typed})
    row = lines(file)[2]
    assert (row["question"], row["answers"], row["review"]) == ("Which temperature?", ["80 degrees"], "edited")
    assert row["quote"] == "brewed\nat 80 degrees." == TEXT[row["start"] - 100 : row["end"] - 100]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"at": 0, "verdict": "edited", "question": "q?", "answers": ["a"], "quote": "not there"}, "does not stand"),
        ({"at": 0, "verdict": "edited", "question": " ", "answers": ["a"]}, "at least one answer"),
        ({"at": 0, "verdict": "edited", "question": "q?", "answers": "a"}, "at least one answer"),
        ({"at": 3, "verdict": "accepted"}, "no such question"),
        ({"at": "0", "verdict": "accepted"}, "no such question"),
        ({"at": 0, "verdict": "fine"}, "no verdict"),
    ],
)
def test_what_cannot_be_changes_nothing(file, asked, sentence):
    before = file.read_bytes()
    desk = Questions(file)
    with pytest.raises(RowError, match=sentence):
        desk.act(asked)
    assert file.read_bytes() == before and reviews(desk) == [None] * 3


def test_killed_between_the_two_files_a_question_is_in_one_place(file, monkeypatch):
    desk = Questions(file)
    write = questions.write_rows
    monkeypatch.setattr(questions, "write_rows", lambda path, rows: (path == file and 1 / 0) or write(path, rows))
    with pytest.raises(ZeroDivisionError):
        desk.act({"at": 1, "verdict": "refused"})
    assert reviews(desk) == [None] * 3
    assert reviews(Questions(file)) == [None, "refused", None]


def test_rows_that_are_no_questions_are_refused(tmp_path):
    for text, sentence in (('{"prompt": "p"}', "row 1: it is no question"), ("{", "no question"), ("", "no questions")):
        (tmp_path / "x.jsonl").write_text(text, encoding="utf-8")
        with pytest.raises(RowError, match=sentence):
            Questions(tmp_path / "x.jsonl")


def test_questions_without_a_passage_or_a_quote_can_be_looked_through(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"question": "q?", "answer": "a"}', encoding="utf-8")
    desk = Questions(tmp_path / "x.jsonl")
    assert desk.state()["items"][0]["passage"] == ["", "", ""]
    desk.act({"at": 0, "verdict": "edited", "question": "r?", "answers": ["b"], "quote": ""})
    assert lines(desk.file) == [{"question": "r?", "answers": ["b"], "review": "edited"}]
