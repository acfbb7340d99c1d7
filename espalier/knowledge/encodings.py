"""Bytes that are text, in whichever encoding, and bytes that are not.

UTF-8 is tried first; of another encoding the letters must be evidence, since most decode nearly any bytes.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from itertools import islice

from espalier.errors import RowError

NAMES = {
    "utf-8": "UTF-8",
    "utf-16": "UTF-16",
    "utf-32": "UTF-32",
    "utf-16-le": "UTF-16 without a byte order mark",
    "utf-16-be": "UTF-16 without a byte order mark",
    "cp949": "cp949 (Korean)",
    "gb18030": "GB18030 (Chinese)",
    "big5": "Big5 (Chinese)",
    "euc_jp": "EUC-JP (Japanese)",
    "cp932": "Shift JIS (Japanese)",
    "cp1252": "cp1252 (Western European)",
}
REMEDY = "save it as text, HTML or PDF"

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KINDS = {
    b"{\\rtf": "a rich text document",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"SQLite format 3": "an SQLite database",
    b"7z\xbc\xaf": "an archive",
    b"Rar!": "an archive",
}
_CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_TYPESET = "\u2018\u2019\u201c\u201d\u2013\u2014…€£°§«»·©®¿¡\xa0"
_SAMPLE = 20_000  # letters that are looked at as evidence
_WIDER_NAMES = {"euc_kr": "cp949", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "iso8859-1": "cp1252"}


def decode(data: bytes, name: str, *, declared: str = "") -> tuple[str, str, tuple[str, ...]]:
    """The text of some bytes, its encoding, and what is worth telling about it ("read as cp949 (Korean)").

    Args:
        data: the whole file.
        name: what the file is called in the sentence of an error.
        declared: the encoding the file itself names, believed if it is not UTF-8 and decodes.

    Raises:
        RowError: the bytes are not text.
    """
    for start, kind in _KINDS.items():
        if data.startswith(start):
            raise RowError(f"{name} is not text ({kind}); {REMEDY} first.")
    text, encoding, damaged = _marked(data) or _plain(data, declared) or ("", "", 0)
    sample = text[: 50 * _SAMPLE]
    if not encoding or len(_CONTROLS.findall(sample)) > 0.002 * len(sample):
        reason = "it holds binary data" if b"\0" in data or encoding else "its encoding is not known"
        raise RowError(f"{name} is not text ({reason}); {REMEDY} first, text in UTF-8.")
    notes = [] if encoding == "utf-8" else [f"read as {NAMES.get(encoding, encoding)}"]
    if damaged:
        notes.append(f"{damaged:,} invalid place{'s' if damaged > 1 else ''} replaced by \ufffd")
    return text.replace("\0", "\ufffd"), encoding, tuple(notes)


Decoded = tuple[str, str, int]  # a text, its encoding, and how many places of it were invalid


def _marked(data: bytes) -> Decoded | None:
    """Decoded by its byte order mark."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            if (text := _strict(data, encoding)) is not None:
                return text, encoding.removesuffix("-sig"), 0
            text = data.decode(encoding, "replace")
            return text, encoding.removesuffix("-sig"), text.count("\ufffd")
    return None


def _plain(data: bytes, declared: str) -> Decoded | None:
    """Decoded without a byte order mark, by what decodes at all and then by the evidence of the letters."""
    if b"\0" in data:
        return _utf_16(data)
    for encoding in ("utf-8", *_declared(declared)):
        if (text := _strict(data, encoding)) is not None:
            return text, encoding, 0
    if damaged := _damaged(data):
        return damaged
    for encoding, is_likely in _EVIDENCE.items():
        if (text := _strict(data, encoding)) is not None and is_likely(text):
            return text, encoding, 0
    return _utf_16(data)


def _damaged(data: bytes) -> Decoded | None:
    """UTF-8 with few invalid places among many valid ones."""
    text = data.decode("utf-8", "replace")
    invalid, valid = text.count("\ufffd"), sum(1 for _ in _foreign(text))
    return (text, "utf-8", invalid) if 20 * invalid <= valid else None


def _utf_16(data: bytes) -> Decoded | None:
    found = []
    for encoding in ("utf-16-le", "utf-16-be"):
        text = _strict(data, encoding)
        if text and "\0" not in text:
            sample = text[:_SAMPLE]
            found.append((sum(map(_is_common, sample)) / len(sample), text, encoding))
    share, text, encoding = max(found, default=(0.0, "", ""))
    return (text, encoding, 0) if share > 0.9 else None


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _declared(name: str) -> tuple[str, ...]:
    """The codec of a declared name; its superset where browsers take that."""
    try:
        codec = codecs.lookup(name).name if name else ""
    except LookupError:
        return ()
    return (_WIDER_NAMES.get(codec, codec),) if codec in (*_WIDER_NAMES, *NAMES, *_WIDER_NAMES.values()) else ()


def _foreign(text: str) -> Iterator[str]:
    return islice((char for char in text if char > "\x7f" and char.isalpha()), _SAMPLE)


def _mostly(belongs: Callable[[str], bool]) -> Callable[[str], bool]:
    def is_likely(text: str) -> bool:
        letters = list(_foreign(text))
        return bool(letters) and sum(map(belongs, letters)) >= 0.9 * len(letters)

    return is_likely


def _within(char: str, encoding: str) -> bool:
    return bool(char.encode(encoding, "ignore"))


def _is_hangul(char: str) -> bool:
    return "가" <= char <= "힣" and _within(char, "euc_kr")


def _is_chinese(char: str) -> bool:
    return "一" <= char <= "鿿" and _within(char, "gb2312")


def _is_frequent_big5(char: str) -> bool:
    return "一" <= char <= "鿿" and b"\xa4" <= char.encode("big5", "ignore")[:1] <= b"\xc6"


def _is_kana(char: str) -> bool:
    return "\u3041" <= char <= "\u30ff"


def _is_common(char: str) -> bool:
    return " " <= char <= "\u024f" or char in "\n\r\t" or _is_hangul(char) or _is_chinese(char) or _is_kana(char)


def _is_japanese(text: str) -> bool:
    letters = list(_foreign(text))
    kana = sum(map(_is_kana, letters))
    han = sum("一" <= char <= "鿿" or char == "々" for char in letters)
    return kana > 0.2 * len(letters) and kana + han >= 0.9 * len(letters)


def _is_western(text: str) -> bool:
    """Mostly ASCII, and what is not is letters or the punctuation of typesetters."""
    foreign = [char for char in text[: 10 * _SAMPLE] if char > "\x7f"]
    known = sum(char.isalpha() or char in _TYPESET for char in foreign)
    return len(text) - len(text.encode("ascii", "ignore")) < 0.3 * len(text) and known >= 0.9 * len(foreign)


_EVIDENCE: dict[str, Callable[[str], bool]] = {
    "cp949": _mostly(_is_hangul),
    "gb18030": _mostly(_is_chinese),
    "euc_jp": _is_japanese,
    "cp932": _is_japanese,
    "big5": _mostly(_is_frequent_big5),
    "cp1252": _is_western,
}
