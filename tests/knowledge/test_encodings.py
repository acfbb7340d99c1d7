import pytest

from espalier.errors import RowError
from espalier.knowledge.encodings import decode

KOREAN = "서울은 대한민국의 수도이며 최대 도시이다. 한강을 끼고 있다.\n"
CHINESE = "北京是中华人民共和国的首都，也是全国的政治中心。\n"
TRADITIONAL = "臺北市是中華民國的首都，也是政治、文化的中心。\n"
JAPANESE = "東京は日本の首都です。とても大きな都市であり、人口も多いです。\n"
FRENCH = "L\u2019été dernier, le café était fermé à Genève.\n"


@pytest.mark.parametrize(
    ("text", "codec", "encoding", "note"),
    [
        (KOREAN, "utf-8", "utf-8", None),
        (KOREAN, "utf-8-sig", "utf-8", None),
        (KOREAN, "utf-16", "utf-16", "UTF-16"),
        ("Seoul is a city.\n", "utf-16-le", "utf-16-le", "UTF-16 without a byte order mark"),
        ("Seoul is a city.\n", "utf-16-be", "utf-16-be", "UTF-16 without a byte order mark"),
        (KOREAN, "utf-16-le", "utf-16-le", "UTF-16 without a byte order mark"),
        (CHINESE, "utf-16-be", "utf-16-be", "UTF-16 without a byte order mark"),
        (KOREAN, "utf-32", "utf-32", "UTF-32"),
        (KOREAN, "cp949", "cp949", "cp949 (Korean)"),
        ("plain " * 20_000 + KOREAN, "euc_kr", "cp949", "cp949 (Korean)"),
        (CHINESE, "gb18030", "gb18030", "GB18030 (Chinese)"),
        (TRADITIONAL, "big5", "big5", "Big5 (Chinese)"),
        (JAPANESE, "cp932", "cp932", "Shift JIS (Japanese)"),
        (JAPANESE, "euc_jp", "euc_jp", "EUC-JP (Japanese)"),
        (FRENCH, "cp1252", "cp1252", "cp1252 (Western European)"),
    ],
)
def test_the_encoding_is_found_and_said(text, codec, encoding, note):
    read = decode(text.encode(codec), "a.txt")
    assert read == (text, encoding, (f"read as {note}",) if note else ())


def test_what_the_file_declares_is_believed_unless_it_is_utf_8():
    russian = "Москва - столица России."
    assert decode(russian.encode("utf-8"), "a.html", declared="iso-8859-1")[:2] == (russian, "utf-8")
    assert decode("조금만 太極 말".encode("cp949"), "a.html", declared="euc-kr")[1] == "cp949"
    with pytest.raises(RowError, match=r"^a\.html is not text \(its encoding is not known\); save it as text"):
        decode(russian.encode("koi8-r"), "a.html", declared="nonsense")


def test_few_invalid_bytes_are_replaced_and_counted():
    text, encoding, notes = decode(KOREAN.encode() * 5 + b"\xff end", "a.txt")
    assert (text, encoding, notes) == (KOREAN * 5 + "\ufffd end", "utf-8", ("1 invalid place replaced by \ufffd",))
    text, _, notes = decode(KOREAN.encode("utf-16") + b"\0", "a.txt")
    assert text == KOREAN + "\ufffd"
    assert notes == ("read as UTF-16", "1 invalid place replaced by \ufffd")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"Rar!\x1a\x07", "an archive"),
        (b"\x89PNG\r\n\x1a\n", "an image"),
        (b"\x7fELF\x02\x01\x01\x00\x00\x00" * 9, "it holds binary data"),
        (bytes(range(256)) * 9, "it holds binary data"),
        (b"\x01\x02\x03 text with controls", "it holds binary data"),
        (b"\x00" * 99, "it holds binary data"),
        (b"\xff\x80\x99\xee\xdd" * 9, "its encoding is not known"),
    ],
)
def test_what_is_not_text_is_refused(data, reason):
    with pytest.raises(RowError, match=r"^a\.bin is not text \(") as problem:
        decode(data, "a.bin")
    assert f"({reason})" in str(problem.value)
