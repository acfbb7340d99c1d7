"""Requests to a server that fails in every way that real servers do, and many of them at once."""

import socket
import threading
import time
from email.utils import formatdate

import pytest

from espalier.errors import ModelError, RecipeError, RunError
from espalier.lm.client import complete_all
from espalier.lm.failures import message_of, retry_after
from espalier.lm.http import Http
from espalier.lm.scripted import Scripted
from tests.lm.server import NOW, Reply, first, model, refuses

KEY = "sk-this-is-secret"


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_failures_that_may_pass_are_tried_again_after_longer_and_longer_waits(open_lm, server, status):
    server.answer = first(3, Reply({"error": "busy"}, status))
    lm = open_lm()
    assert lm.complete("a") == ["a, 0.0"]
    assert (lm.counts.calls, lm.counts.retries) == (1, 3)
    assert all(low <= wait <= 2 * low for low, wait in zip((0.25, 0.5, 1.0), lm.slept, strict=True))


def test_a_server_that_fails_for_good_is_left_in_the_end(open_lm, server):
    server.answer = lambda _: Reply("<html>Bad gateway</html>", 502)
    lm = open_lm(retries=2)
    with pytest.raises(RunError, match=r"fails with status 502\. It was tried 3 times; try again later\.$"):
        lm.complete("a")
    assert len(server.asked) == 3
    server.answer = lambda _: Reply("Out of memory", 500, kind="text/plain; charset=utf-8")
    with pytest.raises(RunError, match=r"status 500: Out of memory\. Try again"):
        open_lm(retries=0).complete("a")


@pytest.mark.parametrize(
    ("header", "wait"),
    [("7", 7.0), ("0.5", 0.5), (formatdate(NOW + 12, usegmt=True), 12.0), (formatdate(NOW - 5, usegmt=True), 0.0)],
)
def test_a_server_says_how_long_to_wait(open_lm, server, header, wait):
    server.answer = first(1, Reply({}, 429, {"Retry-After": header}))
    lm = open_lm()
    assert lm.complete("a") == ["a, 0.0"] and lm.slept == [wait]


def test_a_wait_of_hours_is_the_users_to_decide(open_lm, server):
    server.answer = lambda _: Reply({"error": {"message": "Daily limit"}}, 429, {"Retry-After": "7200"})
    lm = open_lm()
    with pytest.raises(RunError, match=r"status 429: Daily limit\. It asks to wait 7,200 s"):
        lm.complete("a")
    assert lm.slept == []


def test_formula_retry_after():
    assert retry_after("Fri, 31 Dec 1999 23:59:59 GMT", 946684799.0 - 30) == 30.0
    assert retry_after("Fri, 31 Dec 1999 23:59:59 -0000", 946684799.0 - 30) == 30.0  # a date without a zone
    assert retry_after("-3", 0.0) == 0.0
    assert [retry_after(text, 0.0) for text in (None, "", "soon", "nan", "inf")] == [None] * 5


def test_a_server_that_hangs_is_given_up(open_lm, server):
    server.answer = first(1, Reply(hang=True))
    lm = open_lm(timeout=0.5)
    assert lm.complete("a") == ["a, 0.0"] and lm.slept
    server.answer = lambda _: Reply(hang=True)
    with pytest.raises(RunError, match=r"did not answer within 0\.1 s\. Try again later\.$"):
        open_lm(timeout=0.1, retries=0).complete("a")


def test_an_answer_that_breaks_off_is_asked_for_again(open_lm, server):
    server.answer = first(1, Reply({"choices": []}, cut=100))
    lm = open_lm()
    assert lm.complete("a") == ["a, 0.0"] and len(lm.slept) == 1
    for reply in (Reply({"choices": []}, cut=100), Reply('{"choices": [', kind="application/json")):
        server.answer = lambda _, reply=reply: reply
        with pytest.raises(RunError, match="broke off in the middle of an answer"):
            open_lm(retries=0).complete("a")


def test_a_wrong_key_is_not_tried_twice_and_never_shown(open_lm, server, monkeypatch, caplog):
    caplog.set_level(0)
    server.answer = lambda asked: Reply({"error": {"message": f"Wrong: {asked.headers['authorization']}"}}, 401)
    with pytest.raises(ModelError, match=r"does not accept the API key in api_key \(status 401\)\.$") as said:
        open_lm(api_key=KEY).complete("a")
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}" and len(server.asked) == 1
    monkeypatch.setenv("MY_KEY", f"{KEY}\n")
    with pytest.raises(ModelError, match="the environment variable MY_KEY"):
        open_lm(key_variable="MY_KEY").complete("a")
    with pytest.raises(ModelError, match=r"asks for an API key \(status 401\); give it in api_key"):
        open_lm().complete("a")
    server.answer = lambda _: Reply({"error": {"message": f"{KEY} may not"}}, 403)
    lm = open_lm(api_key=KEY)
    with pytest.raises(ModelError, match=r"\*\*\* may not") as also:
        lm.complete("a")
    assert not any(KEY in text for text in (str(said.value), str(also.value), caplog.text, repr(vars(lm.client))))


def test_keys_go_only_where_they_belong(open_lm, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    open_lm().complete("a")
    assert "authorization" not in server.asked[0].headers
    with Http("gpt", "https://api.openai.com/v1") as lm:
        assert lm.client.key.value == KEY
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(RecipeError, match="OPENAI_API_KEY is not set"):
        Http("gpt")
    for wrong in ("열쇠", "two lines\nof it", "sk-1234\x00"):
        with pytest.raises(RecipeError, match="api_key has characters that no key has") as said:
            open_lm(api_key=wrong)
        assert wrong not in str(said.value)


def test_an_unknown_model_is_answered_with_those_there_are(open_lm, server):
    def answer(asked):
        return model(asked) if asked.path.endswith("/models") else Reply({"error": {"message": "no"}}, 404)

    server.answer = answer
    with pytest.raises(ModelError, match=r"no model named 'smal'\. Did you mean 'small'\? Known: large, small\."):
        open_lm("smal").complete("a")
    server.answer = lambda _: Reply({"detail": "Not Found"}, 404)
    with pytest.raises(ModelError, match=r"/chat/completions or the model 'small' \(status 404: Not Found\).*/v1"):
        open_lm().complete("a")


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply("<html>Welcome</html>"), "text/html content, not JSON; check the address"),
        (Reply({"error": {"message": "out of credit"}}), "without a choice: out of credit"),
        (Reply([1, 2]), "without a choice; check that it speaks"),
        (Reply({"choices": []}), "without a choice"),
        (Reply({}, 301, {"Location": "http://127.0.0.1:9/"}), "status 301; check the address"),
        (Reply({}, 418), "status 418"),
    ],
)
def test_what_is_no_answer_is_said_so(open_lm, server, reply, sentence):
    server.answer = lambda _: reply
    with pytest.raises(ModelError, match=sentence):
        open_lm().complete("a")
    assert len(server.asked) == 1


def test_a_server_that_does_not_run_is_said_at_once(open_lm):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lm = open_lm(url=f"http://localhost:{port}/v1")
    with pytest.raises(RunError, match=rf"nothing answers at http://localhost:{port}/v1 .*start the server"):
        lm.complete("a")
    assert lm.slept == []


@pytest.mark.parametrize(
    "url", ["localhost:8000", "", "http://", "ftp://host/v1", "http://host:port", "http://[::1", "http://ho\x00st/v1"]
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(RecipeError, match="no address of a server"):
        Http("m", url)


@pytest.mark.parametrize("url", [f"https://me:{KEY}@host/v1", f"https://host/v1?key={KEY}"])
def test_an_address_holds_no_key(url):
    with pytest.raises(RecipeError, match="give the key in api_key") as said:
        Http("m", url)
    assert KEY not in str(said.value)


def test_messages_of_failures_in_their_shapes():
    shapes = [{"error": {"message": "m"}}, {"error": "m"}, {"detail": "m"}, {"message": "m"}, "m"]
    assert [message_of(shape) for shape in shapes] == ["m"] * 5
    assert [message_of(shape) for shape in ({}, [], None, {"detail": [{"loc": []}]})] == [""] * 4


def test_many_prompts_are_asked_at_once_within_the_bound_and_answered_in_order(open_lm, server):
    barrier = threading.Barrier(4)  # passed only if four are under way together

    def answer(asked):
        barrier.wait(30)
        time.sleep(0.002 * (asked.number % 4))
        return model(asked)

    server.answer = answer
    prompts = [f"p{number}" for number in range(12)]
    lm = open_lm(concurrency=4)
    assert [row[0].text for row in lm.sample(prompts)] == [f"{prompt}, 0.0" for prompt in prompts]
    assert complete_all(lm, prompts) == [f"{prompt}, 0.0" for prompt in prompts]
    assert server.most_at_once == 4


def test_requests_of_threads_within_threads_are_bound_together(open_lm, server):
    server.answer = refuses("n")
    lm = open_lm(concurrency=2)
    assert [len(row) for row in lm.sample(["a", "b", "c"], n=4)] == [4, 4, 4]
    assert server.most_at_once <= 2


def test_after_a_failure_nothing_more_is_asked(open_lm, server):
    server.answer = lambda _: Reply({}, 401)
    with pytest.raises(ModelError):
        complete_all(open_lm(concurrency=2), [f"p{number}" for number in range(50)])
    assert len(server.asked) < 10


def test_a_model_on_this_machine_answers_all_in_one_batch():
    lm = Scripted("a", "b")
    assert complete_all(lm, ["x", "y"], max_tokens=3, seed=1) == ["a", "b"]
    assert [(call.temperature, call.max_tokens, call.seed) for call in lm.calls] == [(0.0, 3, 1)] * 2


def test_calls_and_tokens_are_counted(open_lm):
    lm = open_lm()
    lm.sample(["a", "b"], n=3)
    assert vars(lm.counts) == {"calls": 2, "retries": 0, "hits": 0, "prompt_tokens": 6, "completion_tokens": 12}
