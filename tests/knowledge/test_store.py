import sqlite3

import pytest

from espalier.errors import RunError
from espalier.knowledge.chunks import Chunk, cut
from espalier.knowledge.documents import Document
from espalier.knowledge.store import Passage, Store

SEOUL = Document("한국/seoul.md", "Seoul", "# Seoul\n\nA city.\n\n# River\n\nThe Han.")
EMOJI = Document("a.txt", "a", "\U0001f600 한강 e\u0301 \x00 end")


@pytest.fixture
def store(tmp_path):
    with Store.create(tmp_path / "kb.db", analyser="plain") as made:
        yield made


def put(store, *documents):
    for document in documents:
        digest = f"digest of {document.text}"
        store.stage(document, digest, cut(document.text, title=document.title, size=8))
        store.publish({**store.digests(), document.name: digest})


def test_passages_come_back_with_their_place(store):
    put(store, SEOUL, EMOJI)
    assert store.documents() == ["a.txt", "한국/seoul.md"]
    assert store.text("a.txt") == EMOJI.text
    assert store.digests() == {each.name: f"digest of {each.text}" for each in (SEOUL, EMOJI)}
    passages = list(store.passages())
    assert len(store) == len(passages) == 6
    assert passages[1] == Passage(2, "한국/seoul.md", "Seoul", 9, 16, "A city.")
    assert passages == [store.passage(passage.number) for passage in passages]
    assert all(passage.text == store.text(passage.document)[passage.start : passage.end] for passage in passages)


def test_replacing_and_removing_change_the_generation_and_never_reuse_a_number(store):
    put(store, SEOUL, EMOJI)
    before = store.generation
    put(store, Document("a.txt", "a", "new"))
    store.remove("한국/seoul.md")
    assert store.generation == before + 2
    store.remove("gone")
    store.set_meta("folder", "x")
    assert store.generation == before + 2
    assert list(store.passages()) == [Passage(7, "a.txt", "a", 0, 3, "new")]
    store.remove("a.txt")
    put(store, SEOUL)
    assert [passage.number for passage in store.passages()] == [8, 9, 10, 11]


def test_what_is_staged_is_not_seen_before_it_is_published(store):
    put(store, EMOJI)
    before = list(store.passages()), store.generation
    new = Document("b.pdf", "b", "one\n\ntwo", places=((0, "page 1"), (5, "page 2")))
    store.stage(new, "d", cut(new.text))
    assert (list(store.passages()), store.generation) == before
    assert (len(store), store.documents()) == (2, ["a.txt"])
    assert store.is_staged("b.pdf", "d") and not store.is_staged("b.pdf", "e")
    store.publish({"b.pdf": "d"})
    assert [(passage.text, passage.place) for passage in store.passages()] == [("one\n\ntwo", "page 1 to page 2")]
    assert store.place("b.pdf", 5, 8) == "page 2"
    with pytest.raises(RunError, match=r"^another process has changed .*kb\.db meanwhile; run the command again"):
        store.publish({"b.pdf": "d", "gone": "d"})
    assert store.documents() == ["b.pdf"]


def test_what_is_gone_is_said(store):
    with pytest.raises(RunError, match=r"^there is no passage 1 in .*kb\.db; the index has changed"):
        store.passage(1)
    with pytest.raises(RunError, match=r"^there is no document 'a' in .*kb\.db"):
        store.text("a")


def test_facts_blobs_and_errors_are_kept(store):
    store.set_meta("folder", "문서")
    store.put_blob("bm25", b"\x00" * 1000)
    store.put_blob("bm25", b"\x00\xff")
    store.set_errors({"a.pdf": "no text", "b": "old"})
    store.set_errors({"a.pdf": "no text"})
    store.close()
    with Store.create(store.path, analyser="other", size="700") as again:  # what it has stays
        assert (again.meta("analyser"), again.meta("size"), again.meta("folder")) == ("plain", "700", "문서")
    with Store.open(store.path) as again:
        assert (again.blob("bm25"), again.blob("dense"), again.meta("none")) == (b"\x00\xff", None, None)
        assert again.errors() == {"a.pdf": "no text"}
    assert [path.name for path in store.path.parent.iterdir()] == ["kb.db"]


def test_a_reader_sees_a_document_replaced_at_once(store):
    put(store, SEOUL)
    with Store.open(store.path) as reader, store.transaction():
        old = list(reader.passages())
        put(store, Document(SEOUL.name, "S", "new"), EMOJI)
        assert list(reader.passages()) == old
    with Store.open(store.path) as reader:
        passages = reader.passages()
        first = next(passages)
        with pytest.raises(RunError, match=r"^another process is using"), _impatient(store).transaction():
            store.remove(SEOUL.name)
        assert [first, *passages] == list(store.passages())


def _impatient(store):
    store._db.execute("PRAGMA busy_timeout = 0")
    store._begin = lambda: store._run("BEGIN IMMEDIATE")
    return store


def test_another_file_is_refused_and_left_alone(tmp_path):
    notes, other, folder = tmp_path / "notes.txt", tmp_path / "other.db", tmp_path / "folder"
    notes.write_text("mine", encoding="utf-8")
    folder.mkdir()
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (value)")
    connection.close()
    before = other.read_bytes()
    for path in (notes, other):
        for use in (Store.create, Store.open):
            with pytest.raises(RunError, match=f"{path.name} is not an index of Espalier; give another file"):
                use(path)
    assert (notes.read_text(encoding="utf-8"), other.read_bytes()) == ("mine", before)
    for use in (Store.create, Store.open):
        with pytest.raises(RunError, match="folder is a folder"):
            use(folder)
    with pytest.raises(RunError, match=r"^the folder .* cannot be made: "):
        Store.create(notes / "kb.db")
    with pytest.raises(
        RunError, match=r"^there is no index .*gone; build it with `espalier index FOLDER --out .*gone`"
    ):
        Store.open(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


def test_another_format_is_refused_and_says_which(store):
    store._run("PRAGMA user_version = 7")
    for use in (Store.create, Store.open):
        with pytest.raises(RunError, match="has format 7 of another version of Espalier, this one reads 2; delete it"):
            use(store.path)


def test_an_index_whose_making_was_interrupted_is_made(tmp_path):
    (tmp_path / "kb.db").touch()
    with pytest.raises(RunError, match="is not an index of Espalier"):
        Store.open(tmp_path / "kb.db")
    with Store.create(tmp_path / "deep" / "kb.db") as made, Store.create(tmp_path / "kb.db") as again:
        put(again, SEOUL)
        assert (len(made), len(again)) == (0, 4)


def test_a_document_is_replaced_whole_or_not_at_all(store):
    put(store, SEOUL)
    broken = [Chunk(0, 1, "fine"), Chunk(1, None, "not")]
    with pytest.raises(sqlite3.IntegrityError):
        store.stage(EMOJI, "digest", broken)
    assert store.documents() == [SEOUL.name]
    assert store.generation == 1


def test_a_text_that_was_rolled_back_is_not_remembered(store):
    with pytest.raises(KeyboardInterrupt), store.transaction():
        put(store, Document("a.txt", "a", "never"))
        assert store.passage(1).text == "never"
        raise KeyboardInterrupt
    put(store, Document("a.txt", "a", "kept"))
    assert store.passage(1).text == "kept"
