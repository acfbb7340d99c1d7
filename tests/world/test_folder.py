"""A world as files: three splits without a name in common, whole or not at all, the same for the same seed."""

import filecmp
import json
from pathlib import Path

import pytest

from espalier.errors import RunError
from espalier.rows import read
from espalier.world.folder import write_world


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("worlds") / "w"
    write_world(made, size=60, rows=24)
    return made


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


def test_each_split_has_everything_and_no_row_is_empty(folder):
    for split in ("train", "dev", "test"):
        found = {path.name for path in (folder / split).iterdir()}
        assert {"documents", "documents_unseen", "documents_ko", "beir", "questions.jsonl", "pairs.jsonl"} <= found
        for file in (folder / split).glob("*.jsonl"):
            rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
            assert rows, file
            assert all(rows), file


def test_splits_share_no_name_but_common_words(folder):
    names = {}
    for split in ("train", "dev", "test"):
        words = json.loads((folder / split / "dictionary_ko.json").read_text(encoding="utf-8"))
        titles = {line for line in words if line.startswith("The ")}
        people = {line.split(" ")[1] for line in words if len(line.split(" ")) == 2 and line not in titles}
        names[split] = titles, people
    assert names["train"][0]
    assert not names["train"][0] & names["test"][0]
    assert not names["dev"][0] & names["test"][0]


def test_the_same_seed_gives_the_same_files_and_another_does_not(folder, tmp_path):
    write_world(tmp_path / "again", size=60, rows=24)
    write_world(tmp_path / "other", size=60, rows=24, seed=1)
    same = filecmp.cmpfiles(folder, tmp_path / "again", files(folder), shallow=False)
    assert files(folder) == files(tmp_path / "again")
    assert same[1:] == ([], [])
    assert (folder / "test/questions.jsonl").read_text() != (tmp_path / "other/test/questions.jsonl").read_text()


@pytest.mark.parametrize(
    "name", ["reading", "sums", "pairs", "thumbs", "relevance", "queries", "reviews", "instructions"]
)
def test_rows_are_read_by_the_toolkit_as_they_are(folder, name):
    source = read(folder / "train" / f"{name}.jsonl")
    assert len(list(source)) >= 24


def test_a_folder_that_holds_something_is_left_alone(folder):
    before = files(folder)
    with pytest.raises(RunError, match="not an empty folder"):
        write_world(folder)
    assert files(folder) == before
