"""The cache: the same request has the same key, what was put is found, in any process, within its bound."""

import logging
import math
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.caching import cache_folder
from espalier.errors import RowError
from espalier.lm.cache import Cache, canonical, digest

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
requests = st.dictionaries(st.text(), values, max_size=4)


def shuffled(value):
    """The same request, with its keys in the opposite order, whole numbers as floats and lists as tuples."""
    if isinstance(value, dict):
        return {key: shuffled(value[key]) for key in reversed(value)}
    if isinstance(value, list):
        return tuple(map(shuffled, value))
    return float(value) if type(value) is int and abs(value) < 2**53 else value


@given(requests)
def test_property_a_key_does_not_depend_on_how_a_request_is_written(request_):
    assert digest(request_) == digest(shuffled(request_))


@given(requests, requests)
def test_property_requests_that_differ_have_keys_that_differ(a, b):
    def typed(value):  # True == 1 in Python, and not for a server
        if isinstance(value, dict):
            return {key: typed(item) for key, item in value.items()}
        return [typed(item) for item in value] if isinstance(value, list) else (isinstance(value, bool), value)

    assert (digest(a) == digest(b)) == (typed(a) == typed(b))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"prompt": "a"}, {"prompt": "b"}),
        ({"seed": 0}, {"seed": 1}),
        ({"temperature": 0.0}, {"temperature": 0.1}),
        ({"messages": [{"content": "a"}, {"content": "b"}]}, {"messages": [{"content": "b"}, {"content": "a"}]}),
        ({"x": 1}, {"x": "1"}),
        ({"x": True}, {"x": 1}),
        ({"x": None}, {}),
    ],
)
def test_property_keys_tell_requests_apart(one, other):
    assert digest(one) != digest(other)


def test_canonical_text_is_ascii_whatever_a_prompt_holds():
    assert canonical({"b": 1.0, "a": "\ud800 서울"}) == '{"a":"\\ud800 \\uc11c\\uc6b8","b":1}'


@pytest.mark.parametrize("value", [b"x", {1, 2}, math.nan, {1: 2}])
def test_what_json_has_not_is_refused(value):
    with pytest.raises(RowError, match="cannot be sent as JSON"):
        canonical({"prompt": value})


def test_what_was_put_is_found_also_by_the_next_process(tmp_path):
    with Cache(tmp_path / "deep" / "a.sqlite") as cache:
        cache.put("key", {0: "zero", 2: {"text": "\ud800 둘", "logps": [-0.1, None]}})
    with Cache(tmp_path / "deep" / "a.sqlite") as cache:
        assert cache.get("key", range(4)) == {0: "zero", 2: {"text": "\ud800 둘", "logps": [-0.1, None]}}
        assert cache.get("other", range(4)) == {}
        cache.put("key", {0: "new"})
        assert cache.get("key", [0]) == {0: "new"}


def test_the_place_is_named_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path))
    with Cache() as cache:
        cache.put("key", {0: 1})
    assert cache.path == tmp_path / "answers.sqlite" and cache.path.exists()
    monkeypatch.delenv("ESPALIER_CACHE")
    assert cache_folder().is_relative_to(Path.home())


def test_the_oldest_give_way(tmp_path):
    path = tmp_path / "a.sqlite"
    with Cache(path, max_bytes=100_000) as cache:
        for number in range(300):
            cache.put(f"key {number}", {0: "x" * 1000})
        kept = [number for number in range(300) if cache.get(f"key {number}", [0])]
    assert kept == list(range(kept[0], 300)) and 40 < len(kept) < 100
    assert path.stat().st_size < 120_000


WRITER = """
import sys
from pathlib import Path
from espalier.lm.cache import Cache
with Cache(Path(sys.argv[1])) as cache:
    for number in range(40):
        cache.put(f"{sys.argv[2]} {number}", {0: sys.argv[2]})
        cache.put("shared", {number: number})
"""


def test_two_processes_and_four_threads_write_one_file(tmp_path):
    path, root = tmp_path / "a.sqlite", Path(__file__).parents[2]
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, path, name], cwd=root) for name in "ab"]
    with Cache(path) as cache:

        def write(name: str) -> None:
            for number in range(20):
                cache.put(f"{name} {number}", {0: name})

        threads = [threading.Thread(target=write, args=(name,)) for name in "cdef"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [writer.wait(30) for writer in writers] == [0, 0]
        for name, count in {"a": 40, "b": 40, "c": 20, "d": 20, "e": 20, "f": 20}.items():
            assert all(cache.get(f"{name} {number}", [0]) == {0: name} for number in range(count))
        assert cache.get("shared", range(40)) == {number: number for number in range(40)}


def not_a_folder(path: Path) -> Path:
    path.write_text("text", encoding="utf-8")
    return path / "a.sqlite"


def not_a_database(path: Path) -> Path:
    path.write_text("this is a letter and no database " * 10, encoding="utf-8")
    return path


def another_database(path: Path) -> Path:
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE answers (question TEXT)")
    db.close()
    return path


@pytest.mark.parametrize("spoil", [not_a_folder, not_a_database, another_database])
def test_a_file_that_cannot_be_used_is_left_alone_and_memory_serves(tmp_path, caplog, spoil):
    path = spoil(tmp_path / "x")
    before = (tmp_path / "x").read_bytes()
    with Cache(path) as cache:
        cache.put("key", {0: "a", 1: "b"})
        cache.put("other", {0: "c"})
        assert cache.get("key", range(3)) == {0: "a", 1: "b"}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert str(path) in caplog.text and "in memory" in caplog.text
    assert (tmp_path / "x").read_bytes() == before


@pytest.mark.parametrize("pragma", ["query_only = ON", "max_page_count = 4"])
def test_a_disk_that_turns_read_only_or_full_is_still_read(tmp_path, caplog, pragma):
    with Cache(tmp_path / "a.sqlite") as cache:
        cache.put("old", {0: "on disk"})
        cache._db.execute(f"PRAGMA {pragma}")
        for number in range(3):
            cache.put(f"new {number}", {0: "x" * 10_000})
        assert cache.get("old", [0]) == {0: "on disk"}
        assert all(cache.get(f"new {number}", [0]) for number in range(3))
    assert len(caplog.records) == 1
    with Cache(tmp_path / "a.sqlite") as cache:
        assert cache.get("old", [0]) and not cache.get("new 0", [0])


def test_another_process_that_does_not_let_go_is_not_waited_for_for_ever(tmp_path, caplog):
    with Cache(tmp_path / "a.sqlite", patience=0.05) as cache:
        other = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        cache.put("key", {0: "a"})
        other.close()
        assert cache.get("key", [0]) == {0: "a"} and "locked" in caplog.text


def test_memory_has_a_bound_too(tmp_path):
    with Cache(not_a_folder(tmp_path / "x"), max_bytes=2_500) as cache:
        for number in range(4):
            cache.put(f"key {number}", {0: "x" * 1000})
        assert [bool(cache.get(f"key {number}", [0])) for number in range(4)] == [False, False, True, True]
