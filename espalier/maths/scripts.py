"""Writing systems: which one a text is in, and what counts as one word of it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

# Unicode blocks. In the first group a character counts as a word: these languages write without spaces, or in Korean
# with words too long to compare.
BY_CHARACTER = {
    "Hangul": "\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\ud7b0-\ud7ff",
    "Kana": "\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff",
    "Han": "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "Thai": "\u0e00-\u0e7f",
}
BY_WORD = {
    "Latin": "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff",
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Cyrillic": "\u0400-\u052f\u1c80-\u1c8f",
    "Armenian": "\u0531-\u058f",
    "Hebrew": "\u0590-\u05ff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc",
    "Devanagari": "\u0900-\u097f",
    "Bengali": "\u0980-\u09ff",
    "Tamil": "\u0b80-\u0bff",
    "Georgian": "\u10a0-\u10ff",
}
_KINDS = [f"(?P<{name}>[{block}])" for name, block in BY_CHARACTER.items()]
_KINDS += [f"(?P<{name}>[{block}]+)" for name, block in BY_WORD.items()]
_LETTERS = re.compile("|".join(_KINDS))
_CHARACTER = "".join(BY_CHARACTER.values())
_WORDS = re.compile(rf"[{_CHARACTER}]|[^\W{_CHARACTER}]+")
_KANA_SHARE = 0.1  # Japanese mixes kana with Han; Chinese has none


def script(text: str) -> str | None:
    """The writing system most of a text is in; None for a text without letters.

    A word of an alphabet weighs as much as one character of a script without spaces, so that a Chinese sentence with
    two English names in it is Chinese. Kana stands for Japanese: Han with at least a tenth of kana counts as Kana.
    """
    found = Counter(match.lastgroup for match in _LETTERS.finditer(unicodedata.normalize("NFKC", text)))
    kana, han = found["Kana"], found["Han"]
    if kana and kana >= _KANA_SHARE * (kana + han):
        found["Kana"], found["Han"] = kana + han, 0
    return found.most_common(1)[0][0] if found else None


def language(text: str) -> str:
    """The language whose rules a text is compared by: ko, ja, zh, or en for everything else."""
    return {"Hangul": "ko", "Kana": "ja", "Han": "zh"}.get(script(text) or "", "en")


def words(text: str) -> list[str]:
    """Words of an alphabet and single characters of a script without spaces, without punctuation."""
    return _WORDS.findall(unicodedata.normalize("NFKC", text))
