"""RAGTruth's two files, joined: what the rows hold, what is left out and why, and folders that are none."""

import json
import lzma

import pytest

from espalier.errors import RowError
from espalier.formats.ragtruth import read_ragtruth

PASSAGES = "passage 1:Kastel is old.\n\npassage 2:It lies by a lake.\nIt is deep.\n\n"
SOURCES = [
    {"source_id": "1", "task_type": "QA", "source": "MARCO", "prompt": "Answer: how old is Kastel",
     "source_info": {"question": "how old is Kastel", "passages": PASSAGES}},
    {"source_id": "2", "task_type": "Data2txt", "source": "Yelp", "prompt": "Write.",
     "source_info": {"name": "Ünal", "stars": 3.0, "music": None}},
    {"source_id": "3", "task_type": "Summary", "source": "CNN/DM", "prompt": "Sum up.",
     "source_info": "All is well.\n"},
]  # fmt: skip


def response(number: str, source: str, text: str, *labels: dict, **more: object) -> dict:
    about = {"id": number, "source_id": source, "model": "m", "temperature": 0.7, "split": "test", "quality": "good"}
    return about | {"labels": list(labels), "response": text} | more


def label(start: int, end: int, text: str, kind: str = "Evident Conflict", **more: object) -> dict:
    return {"start": start, "end": end, "text": text, "meta": "why", "label_type": kind} | more


RESPONSES = [
    response("a", "1", " Kastel is new, very new.", label(21, 24, "new"), label(11, 14, "new", implicit_true=True)),
    response("b", "2", "Ünal has music.", label(9, 14, "music", "Subtle Baseless Info", due_to_null=True)),
    response("c", "3", "All is well.", split="train"),
    response("d", "3", "All is", quality="truncated"),
    response("e", "9", "All is well."),
    response("f", "3", "All is well.", label(0, 3, "well")),
    response("g", "3", "All is well.", label(7, 99, "well")),
    response("h", "3", "All is well.", labels=None),
]


def write(folder, name, rows):
    with (lzma.open if name.endswith(".xz") else open)(folder / name, "wt", encoding="utf-8") as file:
        file.writelines((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "source_info.jsonl.xz", SOURCES)
    write(tmp_path, "response.jsonl", [*RESPONSES, "{broken"])
    return tmp_path


def test_a_response_and_its_source_are_one_row(folder):
    asked, described, summed = read_ragtruth(folder).rows
    assert asked["prompt"] == "Answer: how old is Kastel" and asked["question"] == "how old is Kastel"
    assert asked["completion"] == " Kastel is new, very new." and asked["task"] == "QA" and asked["id"] == "a"
    assert asked["passages"] == [{"text": "Kastel is old."}, {"text": "It lies by a lake.\nIt is deep."}]
    assert [(one["start"], one["text"]) for one in asked["labels"]] == [(11, "new"), (21, "new")]
    assert asked["labels"][0]["implicit_true"] and asked.where == "response.jsonl, row 1"
    assert json.loads(described["passages"][0]["text"]) == SOURCES[1]["source_info"]
    assert "Ünal" in described["passages"][0]["text"] and described["labels"][0]["due_to_null"]
    assert summed["passages"] == [{"text": "All is well."}] and summed["labels"] == [] and "question" not in summed


def test_what_is_left_out_is_counted_with_its_reason(folder):
    assert read_ragtruth(folder, "test").left_out == {
        "another split": 1, "quality truncated": 1, "no source with its source_id": 1, "bad JSON": 1,
        "a label's text is not what stands at its place": 1, "a label lies outside its response": 1,
        "'labels' is not a list of objects": 1,
    }  # fmt: skip
    both = read_ragtruth(folder, quality=("good", "truncated")).rows
    assert [row["id"] for row in both] == ["a", "b", "c", "d"]


def test_folders_that_are_none(folder, tmp_path):
    with pytest.raises(RowError, match=r"no response can be used \(another split: 8, bad JSON: 1"):
        read_ragtruth(folder, "dev")
    (tmp_path / "response.jsonl").unlink()
    with pytest.raises(RowError, match=r"has no response\.jsonl; a folder of RAGTruth has"):
        read_ragtruth(tmp_path)
