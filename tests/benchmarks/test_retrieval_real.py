"""Search on real documents: everyday Korean notes, and the factbook where it is at hand."""

from __future__ import annotations

import json
import lzma
import unicodedata
from pathlib import Path

import pytest

from benchmarks import retrieval_real
from benchmarks.retrieval_real import CP949, NFD, collection, korean, questions


def test_learns_the_answers_of_twenty_korean_questions(tmp_path: Path) -> None:
    pytest.importorskip("bm25s")
    korean(tmp_path / "notes")
    stored = {file.name for file in (tmp_path / "notes").iterdir()}
    assert unicodedata.normalize("NFD", NFD) in stored and NFD not in stored
    with pytest.raises(UnicodeDecodeError):
        (tmp_path / "notes" / CP949).read_text(encoding="utf-8")
    asked = questions("korean")
    made = collection(tmp_path / "notes", tmp_path / "kb", asked, {})
    assert len(asked) == 20 and {document for _, document, _ in asked} == {file.name for file in _notes()}
    assert made["notes"] == {CP949: ["read as cp949 (Korean)"]} and not made["failed"]
    assert sum(one["answer_rank"] == 1 for one in made["found"]) >= 18
    page = retrieval_real.section("Notes", made)
    assert "- Answer shown among the first 5: 1.00" in page and page.count("\n| ") == 21


def _notes() -> list[Path]:
    return sorted((retrieval_real.DATA / "korean").glob("*.md"))


def test_every_answer_stands_in_its_note() -> None:
    notes = {file.name: " ".join(file.read_text(encoding="utf-8").split()) for file in _notes()}
    assert all(answer in notes[document] for _, document, answer in questions("korean"))


def test_what_is_not_found_has_no_rank() -> None:
    class Nothing:
        def search(self, query: str, k: int) -> list[retrieval_real.Hit]:
            return []

    (found,) = retrieval_real.searched(Nothing(), [("Who?", "a.md", "nobody")], {})
    assert (found.document_rank, found.answer_rank, found.passage) == (0, 0, "")


def test_a_long_passage_is_shown_around_the_answer() -> None:
    assert retrieval_real.around("short text", "text") == "short text"
    shown = retrieval_real.around("a " * 200 + "here" + " b" * 200, "here")
    assert "here" in shown and shown.startswith("... ") and shown.endswith(" ...") and len(shown) < 180


@pytest.mark.data
def test_learns_the_answers_about_countries(data_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("bm25s")
    factbook = data_folder / "text/factbook.jsonl.xz"
    with lzma.open(factbook, "rt", encoding="utf-8") as file:
        rows = {row["name"]: row for row in map(json.loads, file)}
    asked = questions("factbook")
    assert all(answer in " ".join(rows[name]["text"].split()) for _, name, answer in asked)
    names = {name: f"{factbook.name}#{row['id']}" for name, row in rows.items()}
    made = collection(factbook, tmp_path / "kb", asked, names)
    assert made["documents"] == 261 and sum(one["document_rank"] > 0 for one in made["found"]) >= 17
