import json
import lzma
import os
import random
import signal
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

import pytest

from espalier.errors import RecipeError, RowError, RunError
from espalier.knowledge import sync as module
from espalier.knowledge.store import Store
from espalier.knowledge.sync import Synced, sync
from tests.data.documents.build import docx, pdf, pptx, shape, word

RUN = """
import sys
from pathlib import Path
from espalier.knowledge import database, sync as module
from espalier.knowledge.store import Store
module.DOCUMENTS_PER_COMMIT = 5
database._WRITERS_PATIENCE = 0
with Store.create(Path(sys.argv[1])) as store:
    print("started", flush=True)
    module.sync(store, Path(sys.argv[2]), size=100)
"""


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "docs"
    path.mkdir()
    for name in ("a.txt", "b.md", "c.html"):
        (path / name).write_text(f"The text of {name}.", encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "kb.db") as made:
        yield made


def content(store):
    return [(*vars(passage).values(),) for passage in store.passages()]


def unnumbered(store):
    return sorted(passage[1:] for passage in content(store))


def test_only_what_changed_is_read(folder, store):
    assert sync(store, folder) == Synced(added=3, passages=3)
    assert sync(store, folder) == Synced(unchanged=3, passages=3)
    (folder / "a.txt").write_text("Another text.", encoding="utf-8")
    (folder / "b.md").unlink()
    (folder / "d.txt").write_text("A new one.", encoding="utf-8")
    assert sync(store, folder) == Synced(added=1, changed=1, removed=1, unchanged=1, passages=3)
    assert {passage.document: passage.text for passage in store.passages()} == {
        "a.txt": "Another text.", "c.html": "The text of c.html.", "d.txt": "A new one.",
    }  # fmt: skip
    assert store.meta("folder") == str(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "c.html", "d.txt"]


def test_another_size_cuts_everything_again_and_counts_it(folder, store):
    sync(store, folder)
    (folder / "a.txt").write_text("Another text.", encoding="utf-8")
    assert sync(store, folder, size=10, overlap=2) == Synced(changed=3, recut=2, passages=7)
    assert (store.meta("size"), store.meta("overlap")) == ("10", "2")
    assert max(passage.end - passage.start for passage in store.passages()) <= 10
    with pytest.raises(RecipeError, match=r"^size 10 and overlap 10"):
        sync(store, folder, size=10, overlap=10)
    assert len(store) == 7


def test_a_file_that_cannot_be_read_is_counted_with_its_reason(folder, store):
    sync(store, folder)
    (folder / "a.txt").write_bytes(b"")
    (folder / "image.png").write_bytes(b"\x89PNG\r\n")
    (folder / "korean.txt").write_bytes("서울은 수도이다.".encode("cp949"))
    (folder / "wide.txt").write_bytes("서울은 수도이다.".encode("utf-16"))
    done = sync(store, folder)
    assert done.failed == {
        "a.txt": "a.txt is empty.",
        "image.png": "image.png is not text (an image); save it as text, HTML or PDF first.",
    }
    assert done.failed == store.errors()
    assert done.notes == {"korean.txt": ("read as cp949 (Korean)",), "wide.txt": ("read as UTF-16",)}
    assert (done.added, done.removed) == (2, 1)  # what was read of a.txt before is gone
    assert "a.txt" not in store.documents()
    (folder / "image.png").unlink()
    assert sync(store, folder).failed == store.errors() == {"a.txt": "a.txt is empty."}


def test_a_file_that_vanishes_while_it_is_read_is_a_failure_of_its_own(folder, store):
    done = sync(store, folder, progress=lambda *_: (folder / "b.md").unlink(missing_ok=True))
    assert done.failed == {"b.md": "b.md is no longer there, or a link that leads nowhere."}
    assert store.documents() == ["a.txt", "c.html"]


def test_when_nothing_can_be_read_the_index_stays_as_it_was(folder, store, tmp_path):
    sync(store, folder)
    before = content(store)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RowError, match=r"^the folder .*empty holds no documents; put text"):
        sync(store, empty)
    (empty / "a.txt").touch()
    with pytest.raises(RowError, match=r"^a\.txt is empty\.$"):
        sync(store, empty)
    (empty / "b.txt").touch()
    with pytest.raises(RowError, match=r"^none of the 2 files in .*empty can be read\. The first: a\.txt is empty\.$"):
        sync(store, empty)
    with pytest.raises(RowError, match=r"^there is no file or folder"):
        sync(store, tmp_path / "gone")
    assert content(store) == before


def test_an_index_inside_the_folder_is_refused(folder):
    with Store.create(folder / "sub" / "kb.db") as inside, pytest.raises(RunError, match=r"would lie inside .*docs"):
        sync(inside, folder)


def test_names_in_either_form_are_one_document(folder, store):
    (folder / unicodedata.normalize("NFD", "한국.txt")).write_text("decomposed", encoding="utf-8")
    sync(store, folder)
    assert "한국.txt" in store.documents()
    (folder / unicodedata.normalize("NFC", "한국.txt")).write_text("composed", encoding="utf-8")
    done = sync(store, folder)
    assert done.failed == {"한국.txt": "한국.txt: another document has the same name; rename one of them."}
    assert len(store) == 4


def test_rows_of_a_file_are_documents_and_their_failures_are_told_together(tmp_path, store):
    rows = [{"_id": str(n), "title": f"T{n}", "text": f"The text {n}."} for n in range(250)]
    path = tmp_path / "corpus.jsonl.xz"
    path.write_bytes(lzma.compress("\n".join(map(json.dumps, [*rows, rows[0], {"_id": "x"}])).encode()))
    seen = []
    done = sync(store, path, progress=lambda *step: seen.append(step))
    assert (done.added, done.passages, store.passage(250).document) == (250, 250, "corpus.jsonl.xz#249")
    assert done.failed == {
        "corpus.jsonl.xz": "2 rows cannot be read. The first: corpus.jsonl.xz#0: another document has the same name; "
        "rename one of them."
    }
    assert seen[0] == (1, 252, "corpus.jsonl.xz#0")
    assert seen[-1] == (252, 252, "corpus.jsonl.xz")
    rows[7]["text"] = "Changed."
    path.write_bytes(lzma.compress("\n".join(map(json.dumps, rows[:-1])).encode()))
    assert sync(store, path) == Synced(changed=1, removed=1, unchanged=248, passages=249)


def test_rows_in_another_encoding_are_said(tmp_path, store):
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"text": "서울은 대한민국의 수도이다"}'.encode("cp949"))
    assert sync(store, path).notes == {"rows.jsonl": ("encoding cp949 (Korean)",)}
    (tmp_path / "config.json").write_text('{"a": 1}', encoding="utf-8")
    with pytest.raises(RowError, match=r"^config.json, row 1: it has no text in a field 'text'"):
        sync(store, tmp_path / "config.json")


def many(folder, count=60):
    folder.mkdir()
    for number in range(count):
        text = " ".join(f"Sentence {i} of {number}." for i in range(random.Random(number).randrange(1, 60)))
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    return folder


def test_an_interrupted_run_continues_where_it_was(tmp_path, store, monkeypatch):
    monkeypatch.setattr(module, "DOCUMENTS_PER_COMMIT", 5)

    def interrupt(done, total, name):
        if done == 33:
            raise KeyboardInterrupt

    folder = many(tmp_path / "many")
    with pytest.raises(KeyboardInterrupt):
        sync(store, folder, progress=interrupt)
    assert store.documents() == []  # nothing is seen before all of it is there
    done = sync(store, folder)
    assert (done.added, done.resumed, len(store.documents())) == (60, 30, 60)
    assert sync(store, folder).unchanged == 60


def test_a_transaction_around_it_shows_documents_and_what_is_derived_of_them_together(folder, store):
    sync(store, folder)
    before = content(store)
    (folder / "a.txt").write_text("Another text.", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt), store.transaction():
        assert sync(store, folder).changed == 1
        raise KeyboardInterrupt
    assert content(store) == before
    with store.transaction():
        done = sync(store, folder)
        store.put_blob("derived", str(store.generation).encode())
    assert (done.changed, done.resumed) == (1, 1)
    assert store.blob("derived") == str(store.generation).encode()


def test_what_an_interrupted_run_staged_for_other_passages_is_forgotten(tmp_path, store, monkeypatch):
    monkeypatch.setattr(module, "DOCUMENTS_PER_COMMIT", 5)

    def interrupt(done, total, name):
        if done == 33:
            raise KeyboardInterrupt

    folder = many(tmp_path / "many")
    sync(store, folder, size=50)
    before = content(store)
    with pytest.raises(KeyboardInterrupt):
        sync(store, folder, size=100, progress=interrupt)
    assert content(store) == before
    done = sync(store, folder, size=200)
    assert (done.changed, done.recut, done.resumed) == (60, 60, 0)
    assert store._value("SELECT count(*) FROM documents") == 60
    assert store._value("SELECT count(*) FROM passages") == len(store) == done.passages


def test_a_killed_run_continues_to_the_same_content(tmp_path):
    folder = many(tmp_path / "many")
    with Store.create(tmp_path / "whole.db") as whole:
        sync(whole, folder, size=100)
        expected = unnumbered(whole)
    killed = tmp_path / "out" / "killed.db"
    kill(killed, folder, random.Random(0), times=4)
    with Store.create(killed) as store:
        sync(store, folder, size=100)
        assert unnumbered(store) == expected
    assert [path.name for path in killed.parent.iterdir()] == ["killed.db"]


def kill(path, folder, chance, *, times, longest=0.03):
    """Start a run and kill it, again and again."""
    for _ in range(times):
        command = [sys.executable, "-c", RUN, str(path), str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"started\n"
            time.sleep(chance.uniform(0, longest))
            process.send_signal(signal.SIGKILL)


def the_old_or_the_new(tmp_path, times):
    """Kill runs that would bring in a new state; whatever the moment, one of both states is seen."""
    folder, path, chance = many(tmp_path / "many"), tmp_path / "kb.db", random.Random(1)
    with Store.create(path) as store:
        sync(store, folder, size=100)
        old = content(store)
    for number in range(0, 60, 2):
        (folder / f"{number}.txt").write_text(f"The new text of {number}.", encoding="utf-8")
    (folder / "1.txt").unlink()
    with Store.create(tmp_path / "other.db") as other:
        sync(other, folder, size=100)
        new = unnumbered(other)
    for _ in range(times):
        kill(path, folder, chance, times=1, longest=0.08)
        with Store.open(path) as store:
            assert content(store) == old or unnumbered(store) == new
    with Store.create(path) as store:
        sync(store, folder, size=100)
        assert unnumbered(store) == new


def test_whenever_it_is_killed_the_old_state_or_the_new_one_is_seen(tmp_path):
    the_old_or_the_new(tmp_path, 3)


@pytest.mark.slow
def test_however_often_it_is_killed_the_old_state_or_the_new_one_is_seen(tmp_path):
    the_old_or_the_new(tmp_path, 60)


def test_the_folder_is_never_written(tmp_path, store):
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.pdf").write_bytes(pdf([["text"]]))
    (folder / "sub" / "b.docx").write_bytes(docx(word("글")))
    (folder / "bad.xlsx").write_bytes(b"PK\x03\x04")
    before = state(folder)
    assert (sync(store, folder).added, sync(store, folder, size=10).recut) == (2, 2)
    assert state(folder) == before


def state(folder):
    paths = [folder, *sorted(folder.rglob("*"))]
    return [
        (path, path.stat().st_mtime_ns, path.stat().st_ctime_ns, path.is_file() and path.read_bytes()) for path in paths
    ]


def test_places_are_kept(tmp_path, store):
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.pptx").write_bytes(pptx([shape("One", kind="title") + shape("Text."), shape("Two", kind="title")]))
    sync(store, folder)
    assert [(passage.text, passage.place) for passage in store.passages()] == [
        ("# One\n\nText.", "slide 1"), ("# Two", "slide 2"),
    ]  # fmt: skip
    assert all(store.passage(each.number) == each for each in store.passages())
    assert store.place("a.pptx", 14, 15) == "slide 2"


def test_another_chunker_or_unit_cuts_again(folder, store):
    sync(store, folder)
    assert sync(store, folder, chunker="sentence").recut == 3
    assert (
        sync(store, folder, chunker="sentence", size=2, unit="words", length=lambda text: len(text.split())).recut == 3
    )
    assert [passage.text for passage in store.passages()][:2] == ["The text", "of a.txt."]
    assert {name: store.meta(name) for name in ("chunker", "unit", "size")} == {
        "chunker": "sentence", "unit": "words", "size": "2",
    }  # fmt: skip
    with pytest.raises(RecipeError, match="no chunker named 'words'"):
        sync(store, folder, chunker="words")


def test_a_second_process_is_refused_in_one_sentence(tmp_path, folder, store):
    second = []

    def start(done, total, name):
        if not second:
            command = [sys.executable, "-c", RUN, str(store.path), str(folder)]
            second.append(subprocess.run(command, capture_output=True, text=True, check=False))

    assert sync(store, folder, progress=start).added == 3
    assert second[0].returncode == 1
    assert "RunError: another process is using" in second[0].stderr.splitlines()[-1]


def test_names_that_are_not_text_do_no_harm(tmp_path, store):
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(folder)
    for name in (b"a\xff.txt", b"b\xff.jsonl", b"c\xff.bin"):
        with open(folder + b"/" + name, "wb") as file:
            file.write(b"text" if name.startswith(b"a") else b"\x00")
    done = sync(store, Path(os.fsdecode(folder)))
    assert (done.added, list(done.failed)) == (1, ["b\ufffd.jsonl", "c\ufffd.bin"])
    assert store.documents() == ["a\ufffd.txt"]


@pytest.mark.data
def test_the_factbook_is_indexed(data_folder, store):
    done = sync(store, data_folder / "text" / "factbook.jsonl.xz")
    assert (done.added, list(done.failed)) == (261, ["factbook.jsonl.xz"])  # one row has no text
    for passage in store.passages():
        assert 0 < len(passage.text) <= 700
        assert passage.text == passage.text.strip()
    korea = store.text("factbook.jsonl.xz#east-n-southeast-asia/ks")
    assert "Seoul" in korea
    assert sync(store, data_folder / "text" / "factbook.jsonl.xz").unchanged == 261
