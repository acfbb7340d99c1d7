"""Korean particles: 은(는), 이(가), 을(를), 과(와), (으)로 and (이)다 as the sound before them asks for.

What counts is how the word is read aloud: 3 is 삼, L is 엘, and a closing bracket is not heard.
"""

from __future__ import annotations

import re
from typing import Literal

Ending = Literal["vowel", "l", "consonant"]

FORMS = {"은(는)": ("은", "는"), "이(가)": ("이", "가"), "을(를)": ("을", "를"), "과(와)": ("과", "와")}
SILENT = "』」》〉)]}\"'\u201d\u2019"
DIGITS: dict[str, Ending] = {
    "0": "consonant", "1": "l", "2": "vowel", "3": "consonant", "4": "vowel",
    "5": "vowel", "6": "consonant", "7": "l", "8": "l", "9": "vowel",
}  # fmt: skip
SPELLED: dict[str, Ending] = {"L": "l", "R": "l", "M": "consonant", "N": "consonant"}  # 엘 알 엠 엔; all others: vowel
SOUNDED: dict[str, Ending] = {"l": "l", **{letter: "consonant" for letter in "bckmnpt"}}
_MARK = re.compile(r"(은\(는\)|이\(가\)|을\(를\)|과\(와\)|\(으\)로|\(이\)었|\(이\))")


def ending(text: str) -> Ending:
    """How the last word of a text ends when it is read aloud.

    A digit counts as it is read (a final 0 is 영, 십, 백, 천, 만 or 억), a capital by its name, other Latin letters by
    their usual sound in Korean (Book 북, Bus 버스). A text that nobody can read aloud ends in a vowel.
    """
    heard = text.rstrip().rstrip(SILENT)
    last = heard[-1:]
    if "가" <= last <= "힣":
        final = (ord(last) - ord("가")) % 28
        return "vowel" if final == 0 else "l" if final == 8 else "consonant"
    if last in DIGITS:
        return DIGITS[last]
    if last.isupper():
        return SPELLED.get(last, "vowel")
    return "consonant" if heard.endswith("ng") else SOUNDED.get(last, "vowel")


def resolve(text: str) -> str:
    """A text whose marks, such as 은(는), have become particles."""
    *pieces, rest = _MARK.split(text)
    done = ""
    for before, mark in zip(pieces[::2], pieces[1::2], strict=True):
        done += before
        done += particle(mark, ending(done))
    return done + rest


def particle(mark: str, after: Ending) -> str:
    """One particle after a sound: (으)로 is 로 after a vowel and after ㄹ, (이) falls away after a vowel."""
    if mark == "(으)로":
        return "으로" if after == "consonant" else "로"
    if mark == "(이)었":
        return "였" if after == "vowel" else "이었"
    if mark == "(이)":
        return "" if after == "vowel" else "이"
    return FORMS[mark][after == "vowel"]
