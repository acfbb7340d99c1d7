import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import RowError
from espalier.formats.fields import Malformed
from espalier.formats.tables import read_csv, read_parquet


def read(tmp_path, content, name="rows.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    reader = read_parquet if name.endswith(".parquet") else read_csv
    return [(number, value.reason if isinstance(value, Malformed) else value) for number, value in reader(path)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_delimiter_is_found_in_the_header(tmp_path, delimiter, end):
    content = end.join(["prompt{0}completion", "a, b; c{0}d|e" if delimiter == "\t" else '"a, b; c"{0}"d|e"']) + end
    assert read(tmp_path, content.format(delimiter)) == [(1, {"prompt": "a, b; c", "completion": "d|e"})]


def test_quotes_and_line_breaks_inside_cells(tmp_path):
    content = 'prompt,completion\n"two\nlines","he said ""no"""\n\nplain,\n'
    assert read(tmp_path, content) == [
        (1, {"prompt": "two\nlines", "completion": 'he said "no"'}),
        (2, {"prompt": "plain", "completion": ""}),
    ]


def test_lone_quotes_of_a_tsv_are_text(tmp_path):
    content = 'a\tb\n"x" is quoted\t"open\ny\tz"\n'
    assert read(tmp_path, content, "rows.tsv") == [
        (1, {"a": '"x" is quoted', "b": '"open'}),
        (2, {"a": "y", "b": 'z"'}),
    ]


@pytest.mark.parametrize("content", ['a\tb\n"one ""1"""\ttwo\n', 'a\tb\n"one ""1"""\ttwo\n"x\ny"\tz\n'])
def test_quoted_cells_of_a_tsv_are_unquoted(tmp_path, content):
    assert read(tmp_path, content, "rows.tsv")[0] == (1, {"a": 'one "1"', "b": "two"})


def test_bad_rows_do_not_stop_the_rest(tmp_path):
    content = b"a,b\n1\n1,2,3\n\xff,2\n1,2\n"
    assert read(tmp_path, content) == [
        (1, "wrong number of cells"),
        (2, "wrong number of cells"),
        (3, "invalid UTF-8"),
        (4, {"a": "1", "b": "2"}),
    ]


def test_an_open_quote_says_which_lines_it_swallowed(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('a,b\n1,2\n"open,2\n3,4\n5,6\n')
    (_, first), (_, second) = read_csv(path)
    assert first == {"a": "1", "b": "2"}
    assert isinstance(second, Malformed) and second.detail == "1, the header has 2; lines 3 to 5"


def test_a_cell_may_be_long(tmp_path):
    assert read(tmp_path, "text\n" + "x" * 200_000)[0][1] == {"text": "x" * 200_000}


def test_a_header_names_every_column_once(tmp_path):
    with pytest.raises(RowError, match="names 'a' twice"):
        read(tmp_path, "a,b,a\n1,2,3\n")
    assert read(tmp_path, "a,b\n") == read(tmp_path, "") == []


@given(st.lists(st.tuples(st.text(), st.text(min_size=1)), max_size=5))
def test_property_what_was_written_is_read(tmp_path_factory, cells):
    # A carriage return alone is left out: the csv module writes it unquoted.
    rows = [(left.replace("\r", ""), "x" + right.replace("\r", "")) for left, right in cells]
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("left", "right"), *rows])
    found = read(tmp_path_factory.mktemp("csv"), out.getvalue())
    assert [value for _, value in found] == [{"left": left, "right": right} for left, right in rows]


def test_parquet_is_read_in_batches(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [{"text": f"row {number}", "tags": ["a"] if number else None} for number in range(600)]
    path = tmp_path / "rows.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert list(read_parquet(path)) == list(enumerate(rows, 1))
    whole = path.read_bytes()
    assert read(tmp_path, whole[: len(whole) // 2], "half.parquet") == [(1, "damaged file")]


def test_parquet_may_be_compressed_as_a_whole(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    import gzip

    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist([{"text": "a"}]), out)
    assert read(tmp_path, gzip.compress(out.getvalue()), "rows.gz.parquet") == [(1, "damaged file")]
    (tmp_path / "rows.parquet.gz").write_bytes(gzip.compress(out.getvalue()))
    assert list(read_parquet(tmp_path / "rows.parquet.gz")) == [(1, {"text": "a"})]
