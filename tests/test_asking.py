"""Prompts that have begun, passages that fit, and lists of passages made one."""

import pytest

from espalier import asking
from espalier.contracts import Hit
from espalier.errors import RunError
from espalier.lm.scripted import Scripted

A, B, C = (Hit(name, 0.0, f"text {name}") for name in "abc")


def test_an_answer_that_has_begun_is_the_last_message():
    assert asking.continued("Who?", "") == "Who?"
    prompt = asking.continued("Who?", "Ann")
    assert asking.started(prompt) == ("Who?", "Ann")
    assert asking.started("Who?") == ("Who?", "")
    talk = [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}]
    assert asking.started([*talk, {"role": "assistant", "content": "x"}]) == (talk, "x")
    assert asking.started(talk) == (talk, "")


def test_lists_of_passages_are_interleaved_or_follow_each_other():
    assert asking.merged((A, B), (C, A)) == (A, C, B)
    assert asking.merged((A, B), (C,), k=2) == (A, C)
    assert asking.joined((A, B), (C, A)) == (A, B, C)
    assert asking.merged() == ()


def test_what_has_been_written_takes_room_too():
    lm = Scripted()
    lm.context = 150
    hits = [Hit("a", 0.0, "tea " * 20), Hit("b", 0.0, "leaf " * 20)]
    assert len(asking.ask(lm, "tea?", hits, instruction="", max_tokens=10).hits) == 2
    assert len(asking.ask(lm, "tea?", hits, instruction="", max_tokens=10, begun="x" * 270).hits) == 1
    with pytest.raises(RunError, match="reads 150 tokens"):
        asking.ask(lm, "tea?", hits, begun="x" * 900)


def test_a_judged_list_names_scores():
    assert asking.names([A, B], [0.5, None]) == "a from 0 0.50, b from 0 not known"
    assert asking.names([]) == "nothing found" == asking.names([], [])
