"""`espalier sprout`: what it writes, and what it refuses."""

import json

from espalier.cli import main


def test_a_world_a_lesson_and_a_model(tmp_path, capsys):
    assert main(["sprout", "world", "--out", str(tmp_path / "w"), "--size", "60", "--rows", "12"]) == 0
    assert (tmp_path / "w" / "test" / "documents").is_dir()
    rows = tmp_path / "deep" / "rows.jsonl"
    assert main(["sprout", "lesson", "first", "--out", str(rows), "--rows", "20", "--size", "60"]) == 0
    assert len([json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]) == 20
    assert "20 rows" in capsys.readouterr().out


def test_nothing_is_overwritten_and_unknown_lessons_are_named(tmp_path, capsys):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("mine")
    assert main(["sprout", "lesson", "first", "--out", str(rows), "--rows", "20", "--size", "60"]) == 2
    assert main(["sprout", "lesson", "frist", "--out", str(tmp_path / "x"), "--rows", "20", "--size", "60"]) == 2
    assert main(["sprout", "pack", str(tmp_path / "none"), "--out", str(tmp_path / "packed")]) == 2
    said = capsys.readouterr().err
    assert "exists" in said
    assert "Did you mean 'first'" in said
    assert rows.read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.jsonl"]
