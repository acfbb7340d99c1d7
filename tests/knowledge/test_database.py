import subprocess
import sys

import pytest

from espalier.errors import RunError
from espalier.knowledge.database import Database


@pytest.fixture
def database(tmp_path):
    with Database(tmp_path / "a b#%?.db", create=True) as made:
        with made.transaction():
            made._run("CREATE TABLE numbers (value INTEGER)")
        yield made


def numbers(database):
    return [value for (value,) in database._rows("SELECT value FROM numbers ORDER BY value")]


def test_a_transaction_is_written_whole_or_not_at_all(database):
    with pytest.raises(KeyError), database.transaction():
        database._run("INSERT INTO numbers VALUES (1)")
        with database.transaction():
            database._run("INSERT INTO numbers VALUES (2)")
        raise KeyError
    assert numbers(database) == []
    with pytest.raises(KeyboardInterrupt), database.transaction():
        database._run("INSERT INTO numbers VALUES (1)")
        database.checkpoint()
        database._run("INSERT INTO numbers VALUES (2)")
        raise KeyboardInterrupt
    assert numbers(database) == [1]


def test_a_reader_sees_the_old_state_until_the_commit_and_a_second_writer_is_refused(database, monkeypatch):
    monkeypatch.setattr("espalier.knowledge.database._WRITERS_PATIENCE", 0)
    with Database(database.path) as other:
        with database.transaction():
            database._run("INSERT INTO numbers VALUES (1)")
            assert numbers(other) == []
            with pytest.raises(RunError, match=r"^another process is using .*; wait until it has finished"):
                other.transaction().__enter__()
        with other.snapshot():
            assert numbers(other) == [1]


def test_a_snapshot_stays_the_same_and_delays_a_commit(database, monkeypatch):
    monkeypatch.setattr("espalier.knowledge.database._PATIENCE", 0)
    with Database(database.path) as other, other.snapshot():
        assert numbers(other) == []
        with pytest.raises(RunError, match=r"^another process is using"), database.transaction():
            database._run("INSERT INTO numbers VALUES (1)")
        assert numbers(other) == []
    with database.transaction():
        database._run("INSERT INTO numbers VALUES (2)")
    assert numbers(database) == [2]


def test_a_killed_writer_leaves_the_last_commit_and_no_lock(database):
    script = """
import os, signal, sys
from pathlib import Path
from espalier.knowledge.database import Database
with Database(Path(sys.argv[1])) as database, database.transaction():
    database._run("INSERT INTO numbers VALUES (1)")
    database.checkpoint()
    database._run("INSERT INTO numbers VALUES (2)")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", script, str(database.path)], check=False).returncode == -9
    assert numbers(database) == [1]
    with database.transaction():
        database._run("INSERT INTO numbers VALUES (3)")
    assert [file.name for file in database.path.parent.iterdir()] == [database.path.name]


def test_what_is_no_database_or_damaged_is_said(tmp_path, database):
    other = tmp_path / "notes.txt"
    other.write_text("not a database", encoding="utf-8")
    with pytest.raises(RunError, match=r"notes.txt is not an index of Espalier; give another file\.$"):
        Database(other)._value("SELECT 1 FROM sqlite_master")
    with pytest.raises(RunError, match=r"gone/a.db cannot be opened; check that its folder exists"):
        Database(tmp_path / "gone" / "a.db", create=True)
    with database.transaction():
        database._run("INSERT INTO numbers SELECT value FROM json_each(?)", str(list(range(9999))))
    data = bytearray(database.path.read_bytes())
    data[4096 : len(data)] = b"\xff" * (len(data) - 4096)
    other.write_bytes(data)
    with (
        pytest.raises(RunError, match=r"notes.txt is damaged; delete it and build it again"),
        Database(other) as damaged,
    ):
        numbers(damaged)


def test_a_full_disk_is_said(database):
    pages = database._value("PRAGMA page_count")
    database._run(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(RunError, match=r"^the disk is full: .* cannot be written"), database.transaction():
        database._run("INSERT INTO numbers VALUES (1)")
        database._run("CREATE TABLE more (value)")
    assert numbers(database) == []
