"""What a question that was written for a passage must not be: copied, known anyway, given away, about the passage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from espalier.maths.answers import f1, normalized, pieces
from espalier.maths.scripts import script, words

_OF_PASSAGE = re.compile(
    r"\b(?:passages?|excerpt|(?:this|the|above) (?:text|document|paragraph|article|section))\b"
    r"|지문|본문|이 글|위 글|이 문서|这段|該段|该段|本段|上文|本文|文中"
    r"|\b(?:teks|bacaan|paragraf|dokumen) (?:ini|tersebut|di atas)\b",
    re.IGNORECASE,
)
_INDONESIAN = re.compile(r"\b(?:yang|dan|di|dengan|untuk|dari|adalah|ini|itu|pada|ke|tidak|oleh|dalam|akan|atau)\b")
_ENGLISH = re.compile(r"\b(?:the|of|and|to|in|is|are|was|for|on|that|with|as|by|at|from|or|an|be|it)\b")


def spoken(text: str) -> str:
    """The language of a text: ko, ja, zh, id, or en for everything else."""
    found = {"Hangul": "ko", "Kana": "ja", "Han": "zh"}.get(script(text) or "", "en")
    if found != "en":
        return found
    indonesian, english = (len(common.findall(text.lower())) for common in (_INDONESIAN, _ENGLISH))
    return "id" if indonesian > english and indonesian >= 0.05 * len(words(text)) else "en"


def same_script(text: str, lang: str) -> bool:
    """Whether a text can be in a language, as far as its script tells; Japanese may be all Han."""
    found = spoken(text)
    alike = ({"en", "id"}, {"ja", "zh"})
    return found == lang or any({found, lang} <= group for group in alike) or lang not in ("ko", "ja", "zh", "en", "id")


def copied_share(question: str, passage: str, lang: str) -> float:
    """The longest run of a question's pieces that the passage has too, as a share of the question.

    Args:
        question: its words are its pieces; in Korean its characters, in Chinese and Japanese characters and words.
        passage: what it was written for.
        lang: of the passage.
    """
    mine, theirs = pieces(question, lang), pieces(passage, lang)
    if not mine:
        return 0.0
    longest = SequenceMatcher(None, mine, theirs, autojunk=False).find_longest_match()
    return longest.size / len(mine)


def holds(text: str, answer: str, lang: str) -> bool:
    """Whether an answer stands in a text, as answers are compared; as whole words where words are spaced."""
    within, wanted = normalized(text, lang), normalized(answer, lang)
    if lang in ("ko", "zh", "ja"):
        return bool(wanted) and wanted.replace(" ", "") in within.replace(" ", "")
    return bool(wanted) and f" {wanted} " in f" {within} "


def agrees(reply: str, answers: Sequence[str], lang: str, *, f1_from: float) -> bool:
    """Whether a reply gives one of the answers: holds it, or is close to it with the same numbers.

    Args:
        reply: a model's.
        answers: what counts as right.
        lang: by whose rules they are compared.
        f1_from: how close.
    """
    for answer in answers:
        close = f1(reply, [answer], lang) >= f1_from and _numbers(reply) == _numbers(answer)
        if close or holds(reply, answer, lang):
            return True
    return False


def of_passage(question: str) -> bool:
    """Whether a question speaks of the passage, which its reader does not see."""
    return _OF_PASSAGE.search(question) is not None


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d+", text)
