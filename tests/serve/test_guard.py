"""Who may ask, and how much."""

import asyncio

import httpx
import pytest

from espalier.serve.guard import Guard, Limits, hostname, is_loopback


async def app(scope, receive, send):
    """Says how long the body was; /fail fails, /slow waits."""
    body = (await receive()).get("body", b"")
    if scope["path"] == "/fail":
        raise ZeroDivisionError("secret")
    if scope["path"] == "/slow":
        await asyncio.sleep(0.3)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(body)).encode()})


def ask(path="/v1/x", *, guard=None, base="http://localhost:8000", **more):
    async def asked():
        transport = httpx.ASGITransport(guard or Guard(app))
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.post(path, **more)

    return asyncio.run(asked())


def test_a_request_passes_and_gets_the_headers_of_a_careful_server():
    reply = ask(content=b"abc")
    assert reply.text == "3" and reply.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("guard", "more", "status", "sentence"),
    [
        ({}, {"base": "http://evil.example:8000"}, 403, "ask it as localhost"),
        ({}, {"headers": {"Origin": "http://evil.example"}}, 403, "pages of 'http://evil.example'"),
        ({}, {"headers": {"Origin": "null"}}, 403, "pages of 'null'"),
        ({"key": "k" * 20}, {}, 401, "the API key is missing"),
        ({"key": "k" * 20}, {"headers": {"Authorization": "Bearer " + "j" * 20}}, 401, "missing or wrong"),
        ({"limits": Limits(body=10)}, {"content": b"x" * 11}, 413, "larger than 10 bytes"),
        ({"limits": Limits(clients=0)}, {}, 503, "under way already"),
    ],
)  # fmt: skip
def test_what_may_not_be_is_refused_in_the_protocols_form(guard, more, status, sentence):
    reply = ask(guard=Guard(app, **guard), **more)
    assert reply.status_code == status and sentence in reply.json()["error"]["message"]
    assert ("retry-after" in reply.headers) == (status == 503)


def test_who_knows_the_key_or_is_the_page_itself_passes():
    guard = Guard(app, key="k" * 20, host="0.0.0.0")
    assert ask(guard=guard, headers={"Authorization": "Bearer " + "k" * 20}, base="http://any.example").text == "0"
    assert ask("/", guard=guard, base="http://any.example").status_code == 200
    assert ask(headers={"Origin": "http://localhost:8000"}).status_code == 200


def test_a_body_in_parts_is_counted_and_a_slow_one_is_not_waited_for():
    async def parts(wait=0.0):
        for _ in range(5):
            await asyncio.sleep(wait)
            yield b"abc"

    assert ask(content=parts()).text == "15"
    assert ask(guard=Guard(app, limits=Limits(body=14)), content=parts()).status_code == 413
    assert ask(guard=Guard(app, limits=Limits(seconds=0.02)), content=parts(0.05)).status_code == 408


def test_a_bug_is_logged_and_shows_nothing(caplog):
    reply = ask("/fail")
    assert reply.status_code == 500 and "secret" not in reply.text and "ZeroDivisionError" in caplog.text


def test_only_so_many_at_once():
    guard = Guard(app, limits=Limits(clients=2))

    async def asked():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(guard), base_url="http://localhost") as client:
            replies = await asyncio.gather(*(client.post("/slow") for _ in range(4)))
            return sorted(reply.status_code for reply in replies), (await client.post("/x")).status_code

    assert asyncio.run(asked()) == ([200, 200, 503, 503], 200) and guard.under_way == 0


def test_names():
    assert [hostname(h) for h in ("a:1", "[::1]:2", "A", "[", "")] == ["a", "::1", "a", "", ""]
    assert [is_loopback(h) for h in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1", "x")] == [True] * 3 + [
        False
    ] * 3
