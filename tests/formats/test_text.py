import bz2
import gzip
import lzma
from pathlib import Path

import pytest

from espalier.formats.text import bad_bytes, encoding_of, open_bytes, open_text, plain_suffix

KOREAN = "질문,답\n12시 땡!,하루가 또 가네요.\n학교 떨어졌어,위로해 드립니다.\n"
CHINESE = "问题,答案\n给出三个建议。,保持均衡的饮食和充足的睡眠，多喝水。\n"


@pytest.mark.parametrize(
    ("text", "encoding", "expected"),
    [
        (KOREAN, "utf-8", "utf-8-sig"),
        (KOREAN, "utf-8-sig", "utf-8-sig"),
        (KOREAN, "utf-16", "utf-16"),
        (KOREAN, "cp949", "cp949"),
        (KOREAN, "euc-kr", "cp949"),
        (CHINESE, "gb18030", "gb18030"),
        (CHINESE, "utf-8", "utf-8-sig"),
    ],
)
def test_the_encoding_is_found_and_read(tmp_path, text, encoding, expected):
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode(encoding))
    assert encoding_of(path) == expected
    with open_text(path) as file:
        assert file.read() == text


@pytest.mark.parametrize("content", [b"don\x92t,caf\xe9\n" * 9, "한국어 ".encode() * 9 + b"\xff", b"\xff\xff\xff"])
def test_what_is_neither_stays_utf_8(tmp_path, content):
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    assert encoding_of(path) == "utf-8-sig"
    with open_text(path) as file:
        assert bad_bytes(file).reason == "invalid UTF-8"


def test_a_character_cut_by_the_end_of_the_sample_is_no_error(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_bytes(b"a" * (2**16 - 1) + "한".encode())
    assert encoding_of(path) == "utf-8-sig"


def test_every_compression_is_read(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    packed = {
        "a.jsonl": KOREAN.encode(),
        "a.jsonl.xz": lzma.compress(KOREAN.encode()),
        "a.jsonl.gz": gzip.compress(KOREAN.encode()),
        "a.jsonl.BZ2": bz2.compress(KOREAN.encode()),
        "a.jsonl.zst": pyarrow.compress(KOREAN.encode(), codec="zstd", asbytes=True),
    }
    for name, content in packed.items():
        path = tmp_path / name
        path.write_bytes(content)
        assert plain_suffix(path) == ".jsonl"
        with open_bytes(path) as file:
            assert file.read() == KOREAN.encode()
        with open_text(path) as file:
            assert list(file) == KOREAN.splitlines(keepends=True)


def test_plain_suffix_is_the_one_before_the_compression():
    assert plain_suffix(Path("a.b/c.TSV.gz")) == ".tsv"
    assert plain_suffix(Path("a.xz")) == ""
