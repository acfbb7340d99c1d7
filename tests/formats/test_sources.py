import sys
import types

import pytest

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.formats.fields import Malformed
from espalier.formats.sources import find, of_dicts


def texts(source):
    return [row["text"] for _, row in source.records()]


def write(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f'{{"text": "{line}"}}\n' for line in lines))


def test_a_folder_is_all_its_files_in_order(tmp_path):
    write(tmp_path / "b.jsonl", "3")
    write(tmp_path / "a" / "a.jsonl", "1", "2")
    write(tmp_path / ".cache" / "c.jsonl", "hidden")
    write(tmp_path / "dataset_infos.json", "metadata")
    (tmp_path / "README.md").write_text("words")
    source = find(tmp_path, None)
    assert texts(source) == texts(source) == ["1", "2", "3"]
    assert [where for where, _ in source.records()] == ["a.jsonl, row 1", "a.jsonl, row 2", "b.jsonl, row 1"]


def test_a_folder_with_splits_gives_the_training_split(tmp_path):
    write(tmp_path / "data" / "train-00000.jsonl", "train")
    write(tmp_path / "data" / "test.jsonl", "test")
    write(tmp_path / "data" / "valid.jsonl", "validation")
    assert (texts(find(tmp_path, None)), find(tmp_path, None).notes) == (["train"], ("only the split train",))
    assert texts(find(tmp_path, "validation")) == texts(find(tmp_path, "dev")) == ["validation"]
    with pytest.raises(RowError, match=r"no split named 'tast'. Did you mean 'test'\? Known: test, train, validation"):
        find(tmp_path, "tast")


def test_a_name_that_only_contains_a_split_has_none(tmp_path):
    write(tmp_path / "latest_trains.jsonl", "a")
    assert find(tmp_path, None).notes == ()


def test_an_iterator_is_kept_and_read_again():
    source = of_dicts({"text": str(number)} for number in range(2))
    assert texts(source) == texts(source) == ["0", "1"]


def test_rows_in_memory_keep_their_place():
    (first, _), (second, _), (_, problem) = of_dicts([{"a": 1}, Row({"a": 2}, where="b.csv, row 9"), 5]).records()
    assert (first, second) == ("row 1", "b.csv, row 9")
    assert isinstance(problem, Malformed) and problem.reason == "not an object"


@pytest.mark.parametrize(
    ("make", "given", "message"),
    [
        ([], "", "path of the data is empty"),
        (["pairs.jsonl"], "pair.jsonl", r"there is no file or folder 'pair.jsonl' in .*Did you mean 'pairs.jsonl'\?"),
        (["pairs.jsonl.xz"], "pairs.jsonl", r"Did you mean 'pairs.jsonl.xz'\?"),
        ([], "nothing.jsonl", "Check the path"),
        ([], "absent/rows.jsonl", "the folder .*absent does not exist"),
        (["rows.pkl"], "rows.pkl", "is a pickle"),
        (["model.pt"], "model.pt", "is a pickle"),
        (["rows.docx"], "rows.docx", "no kind of file that holds rows; known are .jsonl"),
        (["rows.jsonl"], "rows.jsonl", "rows.jsonl is empty"),
        (["folder/notes.md"], "folder", "holds no data"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(tmp_path, monkeypatch, make, given, message):
    monkeypatch.chdir(tmp_path)
    for name in make:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with pytest.raises(RowError, match=message):
        find(given, None)


def test_a_file_has_no_split(tmp_path):
    write(tmp_path / "rows.jsonl", "a")
    with pytest.raises(RowError, match="has no split 'test'"):
        find(tmp_path / "rows.jsonl", "test")


def test_a_folder_saved_by_datasets(tmp_path):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    train, test = (datasets.Dataset.from_list([{"text": text}]) for text in ("train", "test"))
    train.save_to_disk(tmp_path / "one")
    datasets.DatasetDict(train=train, test=test).save_to_disk(tmp_path / "both")
    datasets.DatasetDict(a=train, b=test).save_to_disk(tmp_path / "other")
    assert list(find(tmp_path / "one", None).records()) == [("one, row 1", {"text": "train"})]
    assert texts(find(tmp_path / "both", None)) == ["train"]
    assert texts(find(tmp_path / "both", "test")) == ["test"]
    with pytest.raises(RowError, match=r"other: no split named 'train'\. Known: a, b\. Choose one with split\."):
        find(tmp_path / "other", None)
    with pytest.raises(RowError, match="one is one dataset and has no split 'test'"):
        find(tmp_path / "one", "test")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "state.json").write_text("{}")
    with pytest.raises(RowError, match="is not a dataset that `datasets` can load"):
        find(tmp_path / "broken", None)


@pytest.fixture
def hub(monkeypatch):
    """A stand-in for `datasets` that knows one dataset and counts what it is asked."""
    asked = []

    def load_dataset(name):
        asked.append(name)
        if name != "org/pairs":
            raise ConnectionError(f"Couldn't reach '{name}' on the Hub.\nA long story.")
        return {"train": [{"text": "a"}], "test": [{"text": "b"}]}

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    return asked


def test_a_dataset_of_the_hub(hub):
    source = find("org/pairs", "test")
    assert list(source.records()) == [("org/pairs, row 1", {"text": "b"})]
    assert source.notes == ("split test",)


def test_a_missing_gated_or_unreachable_dataset_is_one_sentence(hub):
    with pytest.raises(RowError) as caught:
        find("org/absent", None)
    assert "\n" not in str(caught.value)
    assert (
        "org/absent is no file or folder here and could not be loaded from the Hugging Face hub (Couldn't reach"
        in str(caught.value)
    )


def test_a_local_path_never_asks_the_hub(hub, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "org" / "pairs" / "rows.jsonl", "local")
    assert texts(find("org/pairs", None)) == ["local"]
    for absent in ("org/absent", "elsewhere/rows.jsonl", "./org/x", "pairs", "a/b/c"):
        with pytest.raises(RowError, match="there is no"):
            find(absent, None)
    assert hub == []
