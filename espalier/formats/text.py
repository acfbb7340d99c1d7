"""Opening text files: compressed or not, in UTF-8, UTF-16, Korean or Chinese."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from pathlib import Path
from typing import IO, cast

from espalier.formats.fields import Malformed

ENCODINGS = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp949": "cp949 (Korean)", "gb18030": "GB18030 (Chinese)"}
COMPRESSED = (".xz", ".gz", ".bz2", ".zst")
DAMAGED = (EOFError, OSError, lzma.LZMAError, zlib.error)  # what reading a broken or truncated file raises


def plain_suffix(path: Path) -> str:
    """The suffix that says what a file is, in lower case and without that of a compression: ".jsonl"."""
    return (Path(path.stem) if path.suffix.lower() in COMPRESSED else path).suffix.lower()


def open_bytes(path: Path) -> IO[bytes]:
    """The content of a file, decompressed while it is read."""
    suffix = path.suffix.lower()
    if suffix == ".xz":
        return lzma.open(path)
    if suffix == ".gz":
        return cast(IO[bytes], gzip.open(path))
    if suffix == ".bz2":
        return bz2.open(path)
    if suffix == ".zst":
        import pyarrow

        stream: IO[bytes] = pyarrow.input_stream(str(path), compression="zstd")
        return stream
    return path.open("rb")


def open_text(path: Path, newline: str | None = None) -> io.TextIOWrapper:
    """The text of a file; bytes that are invalid in its encoding become lone surrogates, which `encodable` finds."""
    encoding = encoding_of(path)
    return io.TextIOWrapper(open_bytes(path), encoding, errors="surrogateescape", newline=newline)


def bad_bytes(file: io.TextIOWrapper) -> Malformed:
    """The reason of a row with bytes that are not text."""
    return Malformed(f"invalid {ENCODINGS[file.encoding]}", "save the file as UTF-8")


def encoding_of(path: Path) -> str:
    """The encoding of a file, from its byte order mark or its first 64 KiB; UTF-8 unless another is evident."""
    with open_bytes(path) as file:
        sample = file.read(1 << 16)
    if sample.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if _decoded(sample, "utf-8") is None:
        if _is_korean(_decoded(sample, "cp949") or ""):
            return "cp949"
        if _is_chinese(_decoded(sample, "gb18030") or ""):
            return "gb18030"
    return "utf-8-sig"


def _decoded(sample: bytes, encoding: str) -> str | None:
    """The text of a sample that may end inside a character; None if it is invalid."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return None


# Both encodings accept most bytes, so decoding proves little. Korean text is nearly all common Hangul; Chinese text
# read as cp949 is half Hanja, and Western text is neither.


def _is_korean(text: str) -> bool:
    letters = [char for char in text if char > "\x7f" and char.isalpha()]
    return bool(letters) and sum("가" <= char <= "힣" and _in(char, "euc_kr") for char in letters) >= 0.9 * len(letters)


def _is_chinese(text: str) -> bool:
    letters = [char for char in text if char > "\x7f" and char.isalpha()]
    return bool(letters) and sum("一" <= char <= "鿿" and _in(char, "gb2312") for char in letters) >= 0.9 * len(letters)


def _in(char: str, encoding: str) -> bool:
    return bool(char.encode(encoding, "ignore"))
