"""The scripted model says its lines in order and remembers what it was asked."""

import pytest

from espalier.contracts import LM, Sample
from espalier.errors import ModelError
from espalier.lm.scripted import Call, Scripted


def test_replies_come_in_order_over_prompts_and_samples():
    lm: LM = Scripted("a", "b", "c", "d", "e")
    assert lm.complete("first") == ["a"]
    assert [[s.text for s in row] for row in lm.sample(["second", "third"], n=2)] == [["b", "c"], ["d", "e"]]


def test_a_script_that_is_over_says_so():
    lm = Scripted("only")
    lm.complete("x")
    with pytest.raises(ModelError, match="1 replies and was asked for one more"):
        lm.complete("x")


def test_a_function_answers_from_the_prompt():
    lm = Scripted(lambda prompt: str(prompt).upper())
    assert lm.complete("yes", n=2) == ["YES", "YES"]


def test_calls_are_recorded():
    lm = Scripted("a", "b")
    lm.complete("p", temperature=0.7, max_tokens=5, seed=3)
    lm.sample([[{"role": "user", "content": "q"}]])
    assert lm.calls[0] == Call("p", 1, 0.7, 5, 3)
    assert lm.calls[1].prompt == [{"role": "user", "content": "q"}] and lm.calls[1].temperature == 1.0


def test_log_probabilities_come_from_the_function_or_are_refused():
    lm = Scripted(logprob=lambda prompt, completion: -float(len(completion)))
    assert lm.logprobs("p", ["a", "abc"]) == [-1.0, -3.0]
    with pytest.raises(ModelError, match="logprob=function"):
        Scripted("a").logprobs("p", ["a"])


def test_samples_are_said_as_they_are():
    sample = Sample("He sang.", logps=(-0.1, -0.2), tokens=("He", " sang."))
    lm = Scripted(sample, lambda prompt: sample, "text")
    assert lm.sample(["p", "q"]) == [[sample], [sample]]
    assert lm.complete("p") == ["text"]
