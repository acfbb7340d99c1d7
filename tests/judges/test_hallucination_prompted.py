"""The prompted detector: what it shows, what it makes of replies, instructions that cannot be."""

import pytest

from espalier.contracts import Row
from espalier.errors import RecipeError, RowError
from espalier.hallucinations import Span
from espalier.judges.hallucination_prompted import HallucinationPrompted
from espalier.lm.scripted import Scripted

PASSAGES = ["It is {old}.", {"text": "By a lake.", "title": "Kastel"}]


def test_passages_and_completion_are_shown_and_the_reply_is_read():
    lm = Scripted('{"conflict": ["new"], "baseless": []}', '{"conflict": [], "baseless": []}', "I cannot say.")
    judge = HallucinationPrompted(lm, max_tokens=9)
    row = Row(completion="It is new.", passages=PASSAGES, question="How old?")
    first, second, third = judge.detect([row, Row(completion="{completion}", passages=[]), row])
    assert first.spans == (Span(6, 9, "conflict"),) and first.score == 1 - 3 / 8
    assert second.score == 1.0 and third.score is None and third.reason == "no list of parts in the reply"
    shown, other, _ = (call.prompt for call in lm.calls)
    assert "<passages>\nQuestion: How old?\n\n[1] It is {old}.\n\n[2] Kastel\nBy a lake.\n</passages>" in shown
    assert "<answer>\nIt is new.\n</answer>" in shown and '{"conflict": ["..."], "baseless": ["..."]}' in shown
    assert "<answer>\n{completion}\n</answer>" in other and all(call.max_tokens == 9 for call in lm.calls)


def test_what_cannot_be():
    for instruction in ("{passages}", "{completion}", "{", "{passages}{completion}{x}"):
        with pytest.raises(RecipeError, match=r"must have \{passages\} and \{completion\}"):
            HallucinationPrompted(Scripted(), instruction=instruction)
    with pytest.raises(RowError, match="needs 'completion' and a list of 'passages'"):
        HallucinationPrompted(Scripted()).score([Row(completion="x")])
