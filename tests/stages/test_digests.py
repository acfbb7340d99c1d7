"""Digests: the same for the same content, another for any change that counts."""

import os

import pytest

from espalier.stages import digests
from espalier.stages.digests import MISSING, Digests, read_by
from espalier.stages.recipe import Stage


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "f" / "inner").mkdir(parents=True)
    (tmp_path / "f" / "a.txt").write_text("a", encoding="utf-8")
    (tmp_path / "f" / "inner" / "b.txt").write_text("b", encoding="utf-8")
    return tmp_path / "f"


def digest(path):
    return Digests({}).of(path)


def test_property_a_folder_is_its_names_and_contents(folder):
    first = digest(folder)
    os.utime(folder / "a.txt", (0, 0))
    assert digest(folder) == first and digest(folder.parent / "none") == MISSING
    (folder / ".partial").write_text("x", encoding="utf-8")
    (folder / "stages.json").write_text("x", encoding="utf-8")
    assert digest(folder) == first
    without = Digests({}).of(folder, [folder / "inner"])
    (folder / "inner" / "b.txt").write_text("c", encoding="utf-8")
    assert Digests({}).of(folder, [folder / "inner"]) == without != first
    changed = digest(folder)
    (folder / "inner" / "b.txt").rename(folder / "inner" / "c.txt")
    assert len({first, changed, digest(folder)}) == 3


def test_checkpoints_and_report_of_a_run_do_not_count(folder):
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "w").write_text("1", encoding="utf-8")
    with_them = digest(folder)
    (folder / "run.json").write_text("{}", encoding="utf-8")
    run = digest(folder)
    (folder / "checkpoints" / "w").unlink()
    (folder / "report.html").write_text("1", encoding="utf-8")
    assert digest(folder) == run != with_them


def test_only_a_large_file_is_trusted_for_its_size_and_time(folder, monkeypatch):
    file = folder / "a.txt"
    small = Digests({})
    small.of(file)
    assert small.known == {}
    monkeypatch.setattr(digests, "LARGE", 1)
    large = Digests({})
    first = large.of(file)
    time = file.stat().st_mtime_ns
    file.write_text("z", encoding="utf-8")
    os.utime(file, ns=(time, time))
    assert large.of(file) == first
    os.utime(file, ns=(time, time + 1))
    assert large.of(file) == digest(file) != first


def test_a_stage_reads_what_is_there_and_what_its_recipe_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("rows.jsonl", "more.jsonl", "x=y.txt", "out"):
        (tmp_path / name).write_text("1", encoding="utf-8")
    (tmp_path / "r.toml").write_text('data = ["more.jsonl"]\nout = "out"\n[a]\nb = "none"\n', encoding="utf-8")
    words = ("train", "r.toml", "--data=rows.jsonl", "x" * 400, "~nobody/x", "none", "x=y.txt", "--out", "out")
    stage = Stage("s", words, writes=(tmp_path / "out",))
    assert sorted(map(str, read_by(stage))) == ["more.jsonl", "r.toml", "rows.jsonl", "x=y.txt"]
    (tmp_path / "r.toml").write_text("not toml", encoding="utf-8")
    assert "more.jsonl" not in map(str, read_by(stage))
