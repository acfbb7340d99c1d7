"""Writing systems by Unicode's blocks."""

import pytest

from espalier.maths.scripts import language, script, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where is it?", "Latin"),
        ("Où est-il ? Đâu", "Latin"),
        ("어디에 있어요?", "Hangul"),
        ("它在哪里？", "Han"),
        ("どこにありますか", "Kana"),
        ("東京都庁は新宿区", "Kana"),
        ("где это", "Cyrillic"),
        ("أين هو", "Arabic"),
        ("यह कहाँ है", "Devanagari"),
        ("που είναι", "Greek"),
        ("איפה זה", "Hebrew"),
        ("อยู่ที่ไหน", "Thai"),
        ("1988, 42 %!", None),
        ("", None),
    ],
)
def test_script(text, expected):
    assert script(text) == expected


def test_a_sentence_with_foreign_names_keeps_its_script():
    assert script("使用 TensorFlow 和 PyTorch 训练") == "Han"
    assert script("TensorFlow를 사용해서 학습") == "Hangul"
    assert script("The word 猫 means cat") == "Latin"


def test_decomposed_hangul_and_wide_latin_are_what_they_look_like():
    assert script("\u1112\u1161\u11ab") == "Hangul"
    assert script("\uff37\uff29\uff24\uff25") == "Latin"


def test_language():
    assert [language(t) for t in ("답", "答え", "答案", "answer", "ответ", "42")] == [
        "ko",
        "ja",
        "zh",
        "en",
        "en",
        "en",
    ]


def test_words_are_words_or_characters():
    assert words("It's 42 km, 北京 to 서울!") == ["It", "s", "42", "km", "北", "京", "to", "서", "울"]
