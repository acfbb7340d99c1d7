"""Another server behind this one: what it says is passed on, what goes wrong is said."""

import httpx
import pytest

from espalier.errors import RecipeError
from espalier.serve.app import Service
from espalier.serve.upstream import Upstream
from tests.lm.server import Reply, Server
from tests.serve.conftest import serving

BODY = {"model": "small", "messages": [{"role": "user", "content": "hi"}]}
EVENTS = 'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'


@pytest.fixture(scope="module")
def behind():
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def url(behind):
    with serving(Service({}, upstream=Upstream(behind.url, timeout=1.0))) as url:
        yield url


def ask(url, behind, reply=None, **more):
    behind.reset()
    if reply is not None:
        behind.answer = lambda asked: reply
    return httpx.post(f"{url}/v1/chat/completions", json={**BODY, **more}, timeout=10)


def test_requests_are_passed_on_as_they_are(url, behind):
    reply = ask(url, behind, seed=3, anything={"is": "kept"})
    assert reply.json()["choices"][0]["message"]["content"] == "hi, 3.0"
    assert behind.asked[0].body["anything"] == {"is": "kept"}
    assert [model["id"] for model in httpx.get(f"{url}/v1/models").json()["data"]] == ["small", "large"]


def test_streams_are_passed_on(url, behind):
    reply = ask(url, behind, Reply(f"{EVENTS}data: [DONE]\n\n", kind="text/event-stream"), stream=True)
    assert reply.text == f"{EVENTS}data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("bad", "status", "sentence"),
    [
        (Reply({"error": {"message": "no memory"}}, 500), 502, "answers with status 500: no memory."),
        (Reply({"error": {"message": "what model"}}, 404), 404, "answers with status 404: what model."),
        (Reply({"error": {"message": "key sk-1"}}, 401), 502, "does not accept the key"),
        (Reply({"choices": []}, cut=50), 502, "broke off in the middle"),
        (Reply("<html>"), 502, "answers with status 200"),
        (Reply(hang=True), 504, "gave no sign for 1 s"),
    ],
)
def test_what_goes_wrong_behind_is_said(url, behind, bad, status, sentence):
    reply = ask(url, behind, bad)
    assert reply.status_code == status and sentence in reply.json()["error"]["message"] and "sk-1" not in reply.text


@pytest.mark.parametrize("cut", [0, 40])
def test_a_stream_that_is_cut_ends_in_an_event_that_says_so(url, behind, cut):
    reply = ask(url, behind, Reply(EVENTS, kind="text/event-stream", cut=cut), stream=True)
    assert reply.text.startswith(EVENTS) and "broke off in the middle of an answer" in reply.text.splitlines()[-2]


def test_nobody_there_and_no_address():
    with serving(Service({}, upstream=Upstream("http://127.0.0.1:9/v1", "m"))) as url:
        reply = httpx.post(f"{url}/v1/chat/completions", json=BODY)
        assert reply.status_code == 502 and "nothing answers at http://127.0.0.1:9/v1" in reply.text
        assert httpx.get(f"{url}/v1/models").json()["data"][0]["id"] == "m"
    with pytest.raises(RecipeError, match="no address"):
        Upstream("localhost")
