"""The judge that rates: one number for each completion, on its scale or not at all."""

import pytest

from espalier.catalogue import load
from espalier.contracts import Row, Scorer
from espalier.errors import RecipeError, RowError
from espalier.judges.rating import RatingJudge
from espalier.lm.scripted import Scripted


def test_each_completion_is_rated_by_itself():
    lm = Scripted("Fine. [[7]]", "[[10]]", "I would rather not.", "[[12]]")
    judge: Scorer = RatingJudge(lm, max_tokens=9)
    rows = [Row(prompt="Why {x}?", completion=text, group=1) for text in ("a", "{prompt}", "c", "d")]
    scores = judge.score(rows)
    assert scores.values == (7.0, 10.0, None, None) and scores.reasons == ("", "", "no rating", "no rating")
    first, second, *_ = (call.prompt for call in lm.calls)
    assert "<user>\nWhy {x}?\n</user>" in first and "<reply>\na\n</reply>" in first
    assert "<reply>\n{prompt}\n</reply>" in second and "from 1 (useless) to 10" in second
    assert all((call.temperature, call.max_tokens) == (0.0, 9) for call in lm.calls)


def test_reasoning_of_a_completion_is_not_shown():
    lm = Scripted("[[5]]")
    said = [{"role": "assistant", "content": "<think>secret</think>Hi."}]
    assert RatingJudge(lm).score([Row(prompt="p", completion=said)]).values == (5.0,)
    assert "secret" not in lm.calls[0].prompt


def test_another_scale_and_an_instruction_of_ones_own():
    judge = RatingJudge(Scripted("[[5]]", "[[6]]"), highest=5, instruction="{prompt}|{completion}|{highest}")
    assert judge.score([Row(prompt="p", completion=c) for c in "ab"]).values == (5.0, None)
    assert judge.lm.calls[0].prompt == "p|a|5" and load("rating", "judges") is RatingJudge


def test_what_cannot_be():
    for instruction in ("{prompt}", "{completion}", "{", "{prompt}{completion}{x}"):
        with pytest.raises(RecipeError, match=r"must have \{prompt\} and \{completion\}"):
            RatingJudge(Scripted(), instruction=instruction)
    with pytest.raises(RecipeError, match="lowest"):
        RatingJudge(Scripted(), lowest=5, highest=5)
    with pytest.raises(RowError, match="'completion' is missing"):
        RatingJudge(Scripted()).score([Row(prompt="p")])
