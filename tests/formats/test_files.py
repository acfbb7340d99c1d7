import gzip
import lzma

import pytest

from espalier.formats.fields import Malformed
from espalier.formats.files import note, records

LINES = "".join(f'{{"text": "row number {number} of the file"}}\n' for number in range(1, 2001)).encode()


def test_a_record_says_where_it_stands(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a"}\nbroken\n')
    (first, row), (second, problem) = records(path)
    assert (first, row, second) == ("rows.jsonl, row 1", {"text": "a"}, "rows.jsonl, row 2")
    assert isinstance(problem, Malformed)


@pytest.mark.parametrize(("suffix", "pack"), [(".gz", gzip.compress), (".xz", lzma.compress)])
def test_a_truncated_file_ends_with_a_reason(tmp_path, suffix, pack):
    path = tmp_path / f"rows.jsonl{suffix}"
    packed = pack(LINES)
    path.write_bytes(packed[: len(packed) - 40])
    *rows, (where, last) = records(path)
    assert isinstance(last, Malformed) and last.reason == "damaged file"
    assert where == f"rows.jsonl{suffix}, row {len(rows) + 1}"


def test_a_file_that_is_not_compressed_as_it_says(tmp_path):
    path = tmp_path / "rows.csv.gz"
    path.write_bytes(LINES)
    ((where, problem),) = records(path)
    assert where == "rows.csv.gz, row 1"
    assert isinstance(problem, Malformed) and problem.reason == "damaged file"
    assert note(path) == ""


def test_the_note_names_an_encoding_that_was_guessed(tmp_path):
    path = tmp_path / "rows.csv"
    for encoding, told in [("utf-8", ""), ("utf-16", "encoding UTF-16"), ("cp949", "encoding cp949 (Korean)")]:
        path.write_bytes("질문,답\n안녕,반가워\n".encode(encoding))
        assert note(path) == told
        assert [row for _, row in records(path)] == [{"질문": "안녕", "답": "반가워"}]
