"""Another server that speaks OpenAI's protocol: requests are passed on to it, and its answers back, as they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from espalier.lm.address import Key, checked
from espalier.lm.failures import colon, message_of
from espalier.serve.replies import DONE, event
from espalier.serve.requests import RequestError, error_of

if TYPE_CHECKING:
    from starlette.responses import Response

LARGEST = 64 << 20  # bytes of an answer that is not streamed


class Upstream:
    """A server behind this one.

    Args:
        url: its address, up to and with its version.
        model: what it is asked for where a client names no model that it has; "" if that is the client's to say.
        key_variable: the environment variable with its key.
        timeout: seconds without a sign of it.
    """

    def __init__(self, url: str, model: str = "", *, key_variable: str | None = None, timeout: float = 300.0) -> None:
        self.url, self.model, self.timeout = checked(url), model, timeout
        self._key = Key.find(self.url, None, key_variable)
        host = urlsplit(self.url).hostname or ""
        self._http = httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self._key.value}"} if self._key.value else {},
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            limits=httpx.Limits(max_connections=None),
            trust_env=not (host == "localhost" or host.startswith("127.") or host == "::1"),
        )

    async def models(self) -> list[dict[str, Any]]:
        """The models that it names; none where it does not say."""
        if self.model:
            return [{"id": self.model, "object": "model", "created": 0, "owned_by": "upstream"}]
        try:
            found = (await self._http.get(f"{self.url}/models", timeout=5.0)).json()["data"]
            return [model for model in found if isinstance(model, dict) and isinstance(model.get("id"), str)]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return []

    async def forward(self, path: str, body: dict[str, Any]) -> Response:
        """What it answers to a request.

        Raises:
            RequestError: it cannot be reached, hangs, breaks off or fails.
        """
        from starlette.responses import Response, StreamingResponse

        body = {**body, "model": self.model} if self.model else body
        data = json.dumps(body).encode()
        request = self._http.build_request(
            "POST", self.url + path, content=data, headers={"Content-Type": "application/json"}
        )
        try:
            response = await self._http.send(request, stream=True)
            kind = response.headers.get("content-type", "")
            if response.is_success and "event-stream" in kind:
                return StreamingResponse(self._events(response), media_type="text/event-stream")
            content = await self._content(response)
        except httpx.HTTPError as problem:
            raise self._said(problem) from problem
        if response.is_success and "json" in kind:
            return Response(content, media_type="application/json")
        raise self._failure(response.status_code, content)

    async def _events(self, response: httpx.Response) -> AsyncIterator[bytes]:
        """Its events; if it breaks off, an event that says so."""
        end = b""
        try:
            async for part in response.aiter_bytes():
                end = (end + part)[-len(DONE) - 2 :]
                yield part
            if b"[DONE]" not in end:
                yield b"\n\n" + event(error_of(RequestError(f"{self.url} broke off in the middle of an answer.", 502)))
        except httpx.HTTPError as problem:
            yield b"\n\n" + event(error_of(self._said(problem)))
        finally:
            await asyncio.shield(response.aclose())

    async def _content(self, response: httpx.Response) -> bytes:
        try:
            found = bytearray()
            async for part in response.aiter_bytes():
                found += part
                if len(found) > LARGEST:
                    raise RequestError(f"{self.url} answers with more than {LARGEST >> 20} MB.", 502)
            return bytes(found)
        finally:
            await response.aclose()

    def _said(self, problem: httpx.HTTPError) -> RequestError:
        if isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout):
            return RequestError(f"nothing answers at {self.url}; start that server or check the address.", 502)
        if isinstance(problem, httpx.TimeoutException):
            return RequestError(f"{self.url} gave no sign for {self.timeout:g} s.", 504)
        return RequestError(f"{self.url} broke off in the middle of an answer.", 502)

    def _failure(self, status: int, content: bytes) -> RequestError:
        """Its failure in our words: the client's mistakes keep their status, the others are 502."""
        try:
            said = message_of(json.loads(content))
        except ValueError:
            said = ""
        if status in (401, 403):  # what it says may quote our key
            return RequestError(
                f"{self.url} does not accept the key that this server was given (status {status}).", 502
            )
        known = status if status in (400, 404, 413, 422, 429, 503) else 502
        return RequestError(f"{self.url} answers with status {status}{colon(said)}.", known)
