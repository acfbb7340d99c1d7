"""Requests, checked."""

import pytest

from espalier.errors import ModelError, RowError, RunError
from espalier.serve.requests import RequestError, asked_of, error_of, status_of, table_of, texts_of

HI = [{"role": "user", "content": "hi"}]


def test_a_request_is_understood():
    body = {"model": "m", "messages": [{"role": "developer", "content": "x"}, *HI], "temperature": 0, "stop": "a",
            "n": 2, "max_completion_tokens": 7, "stream": True, "stream_options": {"include_usage": True}}  # fmt: skip
    asked = asked_of(body, chat=True)
    assert asked.prompt[0]["role"] == "system" and asked.chat and asked.stops == ("a",)
    assert asked.sampling.temperature == 0 and asked.sampling.max_tokens == 7 and asked.n == 2 and asked.usage
    text = asked_of({"model": "m", "prompt": "x", "logprobs": 0, "seed": None}, chat=False)
    assert not text.chat and text.logprobs and text.sampling.seed == 0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"messages": []}, "at least one message"),
        ({"messages": "hi"}, "must be a list"),
        ({"messages": [{"content": "x"}]}, "message 1 is not an object with 'role'"),
        ({"messages": [{"role": "user", "content": 3}]}, "message 1: 'content' must be"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "a part that is no text"),
        ({"messages": [*HI, {"role": "assistant", "content": "a"}]}, "end with the user's"),
        ({"model": ""}, "'model' must be a text"),
        ({"temperature": -1}, "'temperature' must be a number from 0"),
        ({"temperature": float("nan")}, "'temperature' must be a number"),
        ({"top_p": 0}, "'top_p'"),
        ({"max_tokens": 0}, "'max_tokens' must be a whole number from 1"),
        ({"max_tokens": True}, "'max_tokens'"),
        ({"n": 1000}, "'n' must be a whole number from 1 to 16"),
        ({"seed": "x"}, "'seed'"),
        ({"stop": ["a"] * 9}, "'stop'"),
        ({"stream": "yes"}, "'stream' must be true or false"),
        ({"tools": [{}]}, "'tools' is not offered"),
        ({"response_format": {"type": "json_object"}}, "'response_format'"),
    ],
)
def test_what_cannot_be_is_named(change, sentence):
    with pytest.raises(RequestError, match=sentence):
        asked_of({"model": "m", "messages": HI, **change}, chat=True)


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_a_body_that_is_no_object_is_refused(data):
    with pytest.raises(RequestError, match="the body is not"):
        table_of(data)


@pytest.mark.parametrize("given", [None, [], [1, 2], "", ["a", ""], [["a"]]])
def test_texts_to_embed(given):
    assert texts_of({"input": "a"}) == ["a"] == texts_of({"input": ["a"]})
    with pytest.raises(RequestError, match="'input' must be"):
        texts_of({"input": given})


def test_whose_fault_it_is_and_that_a_bug_shows_nothing():
    problems = [RequestError("x", 413), RowError("x"), RunError("x"), ModelError("x"), KeyError("secret")]
    assert [status_of(problem) for problem in problems] == [413, 400, 503, 502, 500]
    assert error_of(problems[0])["error"]["type"] == "invalid_request_error"
    assert "secret" not in str(error_of(problems[-1]))
