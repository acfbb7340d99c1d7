"""Folders that appear whole or not at all."""

import pytest

from espalier.errors import RunError
from espalier.world.folders import new_folder


def test_a_folder_appears_when_it_is_done(tmp_path):
    with new_folder(tmp_path / "a" / "out") as folder:
        (folder / "file").write_text("x")
        assert not (tmp_path / "a" / "out").exists()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["out"]
    assert (tmp_path / "a" / "out" / "file").read_text() == "x"


def test_nothing_is_left_of_one_that_failed(tmp_path):
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "out") as folder:
        (folder / "file").write_text("x")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_filled_and_any_other_is_refused(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with new_folder(out) as folder:
        (folder / "file").write_text("x")
    for taken in (out, out / "file"):
        with pytest.raises(RunError, match="not an empty folder; name another"), new_folder(taken):
            raise AssertionError
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
