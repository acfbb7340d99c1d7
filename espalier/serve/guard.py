"""Who may ask, how much and how many at once: stands before every route."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from espalier.serve.requests import RequestError, error_of, status_of

if TYPE_CHECKING:
    from starlette.responses import Response

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

OPEN = ("/", "/health", "/source")  # without a key: the page asks for it, links to sources are signed
AT_RISK = {
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What is asked of clients."""

    clients: int = 256  # requests under way; more are told to come back
    body: int = 1 << 20  # bytes
    seconds: float = 30.0  # until a body has arrived


class Guard:
    """Before an app: host, origin, key, number of requests, size of bodies; behind it: problems as OpenAI tells them.

    Args:
        app: the routes.
        key: what clients must know; "" for none.
        host: where the server listens. On this machine alone, only its own names are taken for it: a page of another
            site that points its name here (DNS rebinding) is refused.
        limits: of what clients send.
    """

    def __init__(self, app: App, *, key: str = "", host: str = "127.0.0.1", limits: Limits | None = None) -> None:
        self.app, self.key, self.limits = app, key, limits or Limits()
        self.names = {"localhost", "127.0.0.1", "::1", host} if is_loopback(host) else None
        self.under_way = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                known = {name for name, _ in message["headers"]}
                message["headers"] += [(name, value) for name, value in AT_RISK.items() if name not in known]
            await send(message)

        self.under_way += 1
        try:
            self._check(scope)
            await self.app(scope, await self._read(scope, receive), sent)
        except Exception as problem:
            if status_of(problem) == 500:
                log.exception("%s %s failed", scope["method"], scope["path"])
            if not started:
                await refusal(problem)(scope, receive, sent)
        finally:
            self.under_way -= 1

    def _check(self, scope: MutableMapping[str, Any]) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        asked = headers.get(b"host", "")
        if self.names is not None and hostname(asked) not in self.names:
            raise RequestError(f"this server is not {asked!r}; ask it as localhost.", 403)
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc != asked:
            raise RequestError(f"pages of {origin!r} may not use this server.", 403)
        if self.key and scope["path"] not in OPEN:
            given = headers.get(b"authorization", "").removeprefix("Bearer ").strip()
            if not hmac.compare_digest(given.encode(), self.key.encode()):
                raise RequestError("the API key is missing or wrong; send it as 'Authorization: Bearer KEY'.", 401)
        if self.under_way > self.limits.clients and scope["path"] != "/health":
            raise RequestError(f"{self.limits.clients:,} requests are under way already; try again.", 503, wait=1)

    async def _read(self, scope: MutableMapping[str, Any], receive: Receive) -> Receive:
        """The body, read whole and in time, before anything is done for it."""
        if scope["method"] not in ("POST", "PUT", "PATCH"):
            return receive
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        body, more = bytearray(), int(length) <= self.limits.body if length.isdigit() else True
        if not more:
            raise self._too_large()
        try:
            async with asyncio.timeout(self.limits.seconds):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return receive
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    if len(body) > self.limits.body:
                        raise self._too_large()
        except TimeoutError:
            raise RequestError(f"the body did not arrive within {self.limits.seconds:g} s.", 408) from None
        first = True

        async def again() -> Message:
            nonlocal first
            if first:
                first = False
                return {"type": "http.request", "body": bytes(body), "more_body": False}
            return await receive()

        return again

    def _too_large(self) -> RequestError:
        return RequestError(f"the body is larger than {self.limits.body:,} bytes; send less.", 413)


def refusal(problem: Exception) -> Response:
    """What is answered where something is wrong; the connection ends, for the rest of a body may still come."""
    from starlette.responses import JSONResponse

    headers = {"Connection": "close"}
    if status_of(problem) == 503:
        headers["Retry-After"] = str(getattr(problem, "wait", None) or 5)
    if status_of(problem) == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error_of(problem), status_of(problem), headers)


def hostname(host: str) -> str:
    """A Host header without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
