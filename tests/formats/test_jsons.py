import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.formats.fields import Malformed
from espalier.formats.jsons import read_json

ROWS = [{"text": "one"}, {"text": "two\u2028lines\x85"}, {"text": "셋"}]


def read(tmp_path, content, name="rows.json"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [(number, value.reason if isinstance(value, Malformed) else value) for number, value in read_json(path)]


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_list_a_document_or_lines(tmp_path, name, indent):
    expected = list(enumerate(ROWS, 1))
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)
    assert read(tmp_path, json.dumps(ROWS, indent=indent), name) == expected
    assert read(tmp_path, lines, name) == expected
    assert read(tmp_path, f"[\n{lines.replace(chr(10), ',' + chr(10))}\n]", name) == expected


@pytest.mark.parametrize("indent", [None, 2])
def test_a_document_that_holds_a_list(tmp_path, indent):
    expected = list(enumerate(ROWS, 1))
    assert read(tmp_path, json.dumps({"version": "1", "tags": ["a"], "data": ROWS}, indent=indent)) == expected
    assert read(tmp_path, json.dumps({"canary": "c", "examples": ROWS}, indent=indent)) == expected
    assert read(tmp_path, json.dumps(ROWS[0], indent=indent)) == expected[:1]


@pytest.mark.parametrize(("name", "indent"), [("rows.json", None), ("rows.json", 2), ("rows.jsonl", None)])
def test_the_only_row_of_a_file_is_not_taken_for_a_list(tmp_path, name, indent):
    row = {"messages": [{"role": "user", "content": "hi"}]}
    assert read(tmp_path, json.dumps(row, indent=indent), name) == [(1, row)]


def test_lines_are_numbered_as_an_editor_does(tmp_path):
    found = read(tmp_path, '{"a": 1}\r\n\r\n{"a": 2}', "rows.jsonl")
    assert found == [(1, {"a": 1}), (3, {"a": 2})]


def test_bad_lines_do_not_stop_the_rest(tmp_path):
    deep = b"[" * 100_000
    content = b'{"a": 1\n[1, 2]\n"text"\n{"a": "\xff"}\nnonsense\n' + deep + b'\n{"a": 2}\n'
    assert read(tmp_path, content, "rows.jsonl") == [
        (1, "bad JSON"),
        (2, "not an object"),
        (3, "not an object"),
        (4, "invalid UTF-8"),
        (5, "bad JSON"),
        (6, "bad JSON"),
        (7, {"a": 2}),
    ]


def test_lines_in_a_json_file_whose_first_is_bad(tmp_path):
    assert read(tmp_path, '{"a": 1\n{"a": 2}\n') == [(1, "bad JSON"), (2, {"a": 2})]


def test_a_list_that_breaks_off_gives_what_comes_before(tmp_path):
    assert read(tmp_path, '[{"a": 1}, 5, {"a": 2}, {"a": ') == [
        (1, {"a": 1}),
        (2, "not an object"),
        (3, {"a": 2}),
        (4, "bad JSON"),
    ]
    assert read(tmp_path, '[{"a": 1}') == [(1, {"a": 1}), (2, "bad JSON")]
    assert read(tmp_path, b'[{"a": "\xff"}, {"a": 2}]') == [(1, "invalid UTF-8"), (2, {"a": 2})]


def test_nothing_and_a_broken_document(tmp_path):
    assert read(tmp_path, "") == read(tmp_path, "\n \n") == read(tmp_path, "[]") == read(tmp_path, "[\n]") == []
    assert read(tmp_path, '{\n "a": 1') == [(1, "bad JSON")]


@given(
    st.lists(st.dictionaries(st.text(), st.text() | st.integers() | st.none() | st.lists(st.booleans())), max_size=5)
)
def test_property_what_was_written_is_read(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("json")
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    assert [value for _, value in read(folder, json.dumps(rows))] == rows
    if len(rows) > 1:
        assert [value for _, value in read(folder, lines, "rows.jsonl")] == rows
