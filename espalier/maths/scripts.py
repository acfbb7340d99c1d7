"""Writing systems: which one a text is in, by Unicode ranges."""

from __future__ import annotations

import re
from collections import Counter

SCRIPTS = {
    "Hangul": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "Kana": "\u3040-\u30ff",
    "Han": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff",
    "Latin": "A-Za-z\u00c0-\u024f\u1e00-\u1eff",
    "Cyrillic": "\u0400-\u04ff",
    "Greek": "\u0370-\u03ff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f",
    "Hebrew": "\u0590-\u05ff",
    "Devanagari": "\u0900-\u097f",
    "Thai": "\u0e00-\u0e7f",
}
_PATTERNS = {name: re.compile(f"[{ranges}]") for name, ranges in SCRIPTS.items()}
_ANY = re.compile(f"[{''.join(SCRIPTS.values())}]")


def script(text: str, sample: int = 2000) -> str:
    """The script most of a text's letters are in; "none" without letters.

    A syllable or ideograph carries about as much as two or three Latin letters, so it counts twice. Japanese mixes
    Han and Kana: Kana above a tenth of both makes it Kana.

    Args:
        text: any text.
        sample: characters looked at.
    """
    letters = "".join(_ANY.findall(text[:sample]))
    counts = Counter({name: len(pattern.findall(letters)) for name, pattern in _PATTERNS.items()})
    if counts["Kana"] > 0.1 * (counts["Han"] + counts["Kana"]):
        counts["Kana"] += counts.pop("Han")
    for name in ("Hangul", "Han", "Kana"):
        counts[name] *= 2
    name, count = counts.most_common(1)[0]
    return name if count else "none"
