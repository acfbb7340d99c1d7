"""stages.json: written whole, read back equal; one run at a time."""

import json
import os

import pytest

from espalier.errors import RunError
from espalier.stages.record import Done, Record, locked


def test_property_it_is_read_back_as_written(tmp_path):
    assert Record.of(tmp_path) == Record(tmp_path)
    record = Record(tmp_path, {"a": Done("done", ["x"], "1", {"f": "1"}, {"o": "2"}, 1.5)}, {"f": [1, 2, "3"]})
    record.write()
    assert Record.of(tmp_path) == record and os.listdir(tmp_path) == ["stages.json"]


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"stages": {"a": {"wrong": 1}}, "files": {}}', '{"stages": []}'])
def test_one_that_is_broken_says_what_to_do(tmp_path, text):
    (tmp_path / "stages.json").write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match="not a record of stages"):
        Record.of(tmp_path)


def test_a_failed_write_leaves_the_old_one(tmp_path):
    Record(tmp_path, files={"a": 1}).write()
    with pytest.raises(TypeError):
        Record(tmp_path, files={"a": object()}).write()
    assert json.loads((tmp_path / "stages.json").read_text(encoding="utf-8"))["files"] == {"a": 1}


def test_the_second_run_is_refused_while_the_first_is_at_work(tmp_path):
    with locked(tmp_path / "new"):
        with pytest.raises(RunError, match="another `espalier run` is at work there"), locked(tmp_path / "new"):
            pass
        with locked(tmp_path / "other"):
            pass
    with locked(tmp_path / "new"):
        assert (tmp_path / "new").is_dir()


def test_a_file_in_the_way_is_said(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    for folder in (tmp_path / "file", tmp_path / "file" / "inner"):
        with pytest.raises(RunError, match="a file is in the way"), locked(folder):
            pass
