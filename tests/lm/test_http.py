"""A model behind a server: asked as the protocol says, with whatever the server lacks, each answer kept once."""

import math

import pytest

from espalier.contracts import LM
from espalier.errors import EspalierError, ModelError, RecipeError, RowError
from espalier.lm.http import Http
from espalier.spending import counting
from tests.lm.server import Reply, first, logp, model, refuses, tokens

KEY = "sk-this-is-secret"


def test_text_is_a_message_of_the_user(open_lm, server):
    lm: LM = open_lm()
    assert lm.complete("Hello", temperature=0.5, max_tokens=7, seed=3) == ["Hello, 3.0"]
    assert server.asked[0].path == "/v1/chat/completions"
    assert server.asked[0].body == {
        "model": "small",
        "messages": [{"role": "user", "content": "Hello"}],
        "temperature": 0.5,
        "max_tokens": 7,
        "seed": 3,
    }
    assert "authorization" not in server.asked[0].headers


def test_messages_go_as_they_are_and_text_is_continued_by_completions(open_lm, server):
    talk = [{"role": "system", "content": "Short."}, {"role": "user", "content": "안녕 \ud800"}]
    assert open_lm().complete(talk) == ["안녕 \ud800, 0.0"]
    assert server.asked[0].body["messages"] == talk
    assert open_lm(endpoint="completions").complete("Once") == ["Once, 0.0"]
    assert server.asked[1].path == "/v1/completions" and server.asked[1].body["prompt"] == "Once"
    with pytest.raises(RowError, match="plain text, not messages"):
        open_lm(endpoint="completions").complete(talk)


def test_several_samples_come_in_one_request_and_in_order(open_lm, server):
    assert open_lm().complete("a", n=3, temperature=1.0) == ["a, 0.0", "a, 0.1", "a, 0.2"]
    assert len(server.asked) == 1
    assert open_lm().complete("a", n=3) == ["a, 0.0"] * 3  # temperature 0: asked once
    assert "n" not in server.asked[1].body


def test_more_fields_are_added_and_taken_away(open_lm, server):
    lm = open_lm(more={"top_p": 0.9, "seed": None, "max_tokens": None, "max_completion_tokens": 50})
    assert lm.complete("a") == ["a, None.0"]
    assert {"top_p": 0.9, "max_completion_tokens": 50}.items() <= server.asked[0].body.items()
    assert not {"seed", "max_tokens"} & server.asked[0].body.keys()


def test_content_that_is_missing_or_in_parts_is_text(open_lm, server):
    for content, text in ((None, ""), ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab")):
        server.answer = lambda _, content=content: Reply({"choices": [{"message": {"content": content}}]})
        assert open_lm().complete("x") == [text]


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_samples_have_log_probabilities_and_how_they_ended(open_lm, endpoint):
    lm = open_lm(endpoint=endpoint)
    [[short], [long]] = lm.sample(["a", "word " * 30])
    assert short.text == "a, 0.0" and short.ended and not long.ended
    assert short.logps == tuple(map(logp, tokens("a, 0.0")))


def test_samples_of_the_same_prompt_differ(open_lm, server):
    found = open_lm().sample(["a", "b", "a"], n=2, seed=5)
    assert len({sample.text for row in (found[0], found[2]) for sample in row}) == 4
    assert found == open_lm().sample(["a", "b", "a"], n=2, seed=5)
    assert all(0 <= asked.body["seed"] < 2**31 for asked in server.asked)


def test_token_ids_are_read_where_there_are_any(open_lm, server):
    choice = {"message": {"content": "hi"}, "token_ids": [4, 5], "logprobs": {"content": [{"token": "hi"}]}}
    server.answer = lambda _: Reply({"choices": [choice]})
    [[sample]] = open_lm().sample(["x"])
    assert sample.ids == (4, 5) and sample.logps == ()  # a token without its number: no log-probabilities


def test_a_server_that_refuses_n_is_asked_n_times(open_lm, server):
    server.answer = refuses("n")
    lm = open_lm()
    texts = lm.complete("a", n=4, temperature=1.0, seed=9)
    assert texts[0] == "a, 9.0" and len(set(texts)) == 4
    assert len(server.asked) == 5
    lm.complete("b", n=2, temperature=1.0)
    assert len(server.asked) == 7  # it is known by now


def test_a_server_that_overlooks_n_is_asked_for_the_rest(open_lm, server):
    server.answer = lambda asked: model(type(asked)(asked.path, {**asked.body, "n": 1}, asked.headers, asked.number))
    assert len(set(open_lm().complete("a", n=4, temperature=1.0))) == 4
    assert len(server.asked) == 4


@pytest.mark.parametrize("lacking", [["logprobs"], ["n"], ["n", "logprobs"]])
def test_samples_come_without_what_a_server_refuses(open_lm, server, lacking):
    server.answer = refuses(*lacking)
    lm = open_lm()
    for _ in range(2):
        [samples] = lm.sample(["a"], n=3)
        assert len({sample.text for sample in samples}) == 3
        assert all(bool(sample.logps) == ("logprobs" not in lacking) for sample in samples)


def test_a_request_that_is_wrong_by_itself_is_refused_with_what_the_server_says(open_lm, server):
    server.answer = lambda _: Reply({"error": {"message": "This model's maximum context\nlength is 8."}}, 400)
    lm = open_lm(retries=5)
    with pytest.raises(ModelError, match=r"'small' \(status 400: This model's maximum context length is 8\)\.$"):
        lm.complete("a", n=2, temperature=1.0)
    assert lm.slept == [] and lm.counts.calls == 0
    server.answer = model
    lm.complete("a", n=2, temperature=1.0)
    assert server.asked[-1].body["n"] == 2  # the server was not to blame


def test_formula_log_probabilities_are_those_of_the_tokens_after_the_prompt(open_lm, server):
    lm = open_lm(endpoint="completions")
    # " is" 3, " blue" 5, "!" 1, each token -len/8
    found = lm.logprobs("The sky", [" is", " is blue!", "", " is"])
    assert found == pytest.approx([-3 / 8, -9 / 8, 0.0, -3 / 8], rel=1e-12)
    assert len(server.asked) == 3 and all(asked.body["echo"] for asked in server.asked)


def test_tokens_across_the_end_of_the_prompt_are_refused(open_lm):
    with pytest.raises(RowError, match="run across the end of the prompt"):
        open_lm(endpoint="completions").logprobs("The sky ", ["is"])
    with pytest.raises(RowError, match="prompt is empty"):
        open_lm(endpoint="completions").logprobs("", ["is"])


def without_usage(asked):
    return Reply({"choices": model(asked).content["choices"]})


def test_a_server_that_does_not_count_tokens_is_understood(open_lm, server):
    server.answer = without_usage
    assert open_lm(endpoint="completions").logprobs("The sky", [" is"]) == pytest.approx([-3 / 8])


@pytest.mark.parametrize(
    "content",
    [
        {"choices": [{"text": "!", "logprobs": None}]},
        {"choices": [{"text": "!", "logprobs": {"content": [{"token": "!", "logprob": -1.0}]}}]},
        {"choices": [{"text": "!", "logprobs": {"tokens": ["!"], "token_logprobs": [-1.0]}}]},
        {
            "choices": [{"text": "!", "logprobs": {"tokens": ["!"], "token_logprobs": [-1.0]}}],
            "usage": {"prompt_tokens": 2},
        },
        {
            "choices": [{"logprobs": {"tokens": ["The", " sky", "!"], "token_logprobs": [None, None, -1]}}],
            "usage": {"prompt_tokens": 2},
        },
    ],
)
def test_a_server_without_log_probabilities_of_the_prompt_never_gives_a_wrong_number(open_lm, server, content):
    server.answer = lambda _: Reply(content)
    with pytest.raises(ModelError, match=r"need a server whose /completions answers `echo`.*returns none"):
        open_lm(endpoint="completions").logprobs("The sky", [" is"])


def test_what_needs_log_probabilities_is_named(open_lm, server):
    with pytest.raises(RecipeError, match="set endpoint to 'completions'"):
        open_lm().logprobs("a", ["b"])
    server.answer = refuses("echo", "logprobs")
    with pytest.raises(ModelError, match=r"answers `echo`.*unknown field echo"):
        open_lm(endpoint="completions").logprobs("a", ["b"])


@pytest.mark.parametrize("wrong", [{"endpoint": "chats"}, {"concurrency": 0}, {"timeout": 0}, {"retries": -1}])
def test_wrong_options_are_refused(wrong):
    with pytest.raises(RecipeError):
        Http("m", "http://localhost", **wrong)


@pytest.mark.parametrize("wrong", [{"n": 0}, {"temperature": -1.0}, {"max_tokens": 0}])
def test_wrong_requests_are_refused_before_they_are_sent(open_lm, server, wrong):
    with pytest.raises(RecipeError):
        open_lm().complete("a", **wrong)
    with pytest.raises(RowError, match="JSON"):
        open_lm().complete([{"role": "user", "content": math.nan}])
    assert server.asked == []


def test_answers_are_kept_by_request_and_sample(open_lm, server, cache):
    one = open_lm(cache=cache).complete("a", n=2, temperature=1.0)
    lm = open_lm(cache=cache)
    three = lm.complete("a", n=3, temperature=1)
    assert three[:2] == one and len(set(three)) == 3
    assert len(server.asked) == 2 and server.asked[1].body["seed"] != server.asked[0].body["seed"]
    assert lm.complete("a", n=3, temperature=1.0) == three and (lm.counts.hits, lm.counts.calls) == (5, 1)


@pytest.mark.parametrize(
    ("made", "asked"),
    [
        ({}, {"seed": 1}),
        ({}, {"temperature": 0.7}),
        ({}, {"max_tokens": 9}),
        ({}, {"prompt": "b"}),
        ({"name": "large"}, {}),
        ({"endpoint": "completions"}, {}),
        ({"more": {"top_p": 0.5}}, {}),
    ],
)
def test_what_differs_in_anything_is_asked_anew(open_lm, server, cache, made, asked):
    request = {"prompt": "a", "temperature": 1.0}
    open_lm(cache=cache).complete(**request)
    open_lm(cache=cache, **made).complete(**{**request, **asked})
    assert len(server.asked) == 2


def test_log_probabilities_are_kept_and_samples_are_not(open_lm, server, cache):
    for _ in range(2):
        assert open_lm(endpoint="completions", cache=cache).logprobs("The sky", [" is"]) == pytest.approx([-3 / 8])
    assert len(server.asked) == 2
    for _ in range(2):
        open_lm(cache=cache).sample(["a"])
    assert len(server.asked) == 4


def test_the_key_is_not_kept_and_does_not_part_answers(open_lm, server, cache):
    open_lm(cache=cache, api_key=KEY).complete("a")
    open_lm(cache=cache).complete("a")
    assert len(server.asked) == 1
    files = list(cache.path.parent.glob("answers*"))
    assert files and not any(KEY.encode() in file.read_bytes() for file in files)


def test_failures_are_not_kept(open_lm, server, cache):
    server.answer = first(1, Reply({}, 400))
    with pytest.raises(EspalierError):
        open_lm(cache=cache).complete("a")
    assert open_lm(cache=cache).complete("a") == ["a, 0.0"]


BEGUN = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "It was"}]


def test_an_answer_that_has_begun_is_gone_on_with(open_lm, server):
    open_lm().complete(BEGUN)
    body = server.asked[-1].body
    assert (
        body["messages"] == BEGUN and body["continue_final_message"] is True and body["add_generation_prompt"] is False
    )
    open_lm(endpoint="completions").complete(BEGUN)
    assert server.asked[-1].body["prompt"] == "Who?It was" and "continue_final_message" not in server.asked[-1].body
    server.answer = refuses("continue_final_message")
    with pytest.raises(ModelError, match=r"must go on with an answer that has begun, as vLLM does: .*unknown field"):
        open_lm().sample([BEGUN])
    assert open_lm().sample(["Who?"])[0][0].logps  # what it refuses says nothing of log-probabilities


@pytest.mark.parametrize("endpoint", ["chat", "completions"])
def test_the_tokens_of_a_sample_are_its_text(open_lm, server, endpoint):
    if endpoint == "completions":
        choice = {"text": " a b", "logprobs": {"tokens": [" a", " b"], "token_logprobs": [-0.1, -0.2]}}
        server.answer = lambda asked: Reply({"choices": [choice]})
    (sample,) = open_lm(endpoint=endpoint).sample(["a b"])[0]
    assert "".join(sample.tokens) == sample.text and len(sample.tokens) == len(sample.logps) > 1


def test_what_is_spent_is_counted_over_threads_and_not_what_was_kept(open_lm, cache):
    lm = open_lm(cache=cache)
    for calls in (1, 0):
        with counting() as spent:
            lm.complete("a")
        assert spent["calls"] == calls and spent["prompt_tokens"] == 3 * calls
    with counting() as spent:
        lm.sample(["a", "b", "c"], n=2)
    assert spent == {"calls": 3, "prompt_tokens": 9, "completion_tokens": 12}
