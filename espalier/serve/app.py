"""The routes: OpenAI's protocol, the page, and the places that sources point to."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from espalier.errors import EspalierError, unknown
from espalier.serve.guard import refusal
from espalier.serve.knowledge import Knowledge
from espalier.serve.pages import chat_page, source_page
from espalier.serve.replies import Reply, begun
from espalier.serve.requests import Asked, RequestError, asked_of, table_of
from espalier.serve.served import Served
from espalier.serve.sources import signature
from espalier.serve.upstream import Upstream
from espalier.serve.vectors import Vectors

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

AT_ONCE = 2.0  # seconds in which a problem is still a status, before the stream begins

Found = TypeVar("Found")


@dataclass
class Service:
    """What is served.

    Args:
        served: what answers, by name; the first is the page's choice.
        vectors: what embeds.
        upstream: whom all other requests are passed on to.
        key: what clients must know; "" for none.
    """

    served: Mapping[str, Served]
    vectors: Vectors | None = None
    upstream: Upstream | None = None
    key: str = ""
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def health(self, request: Request) -> Response:
        """Whether it lives."""
        return _json({"status": "ok"})

    async def page(self, request: Request) -> Response:
        """The page to talk to models."""
        return chat_page(keyed=bool(self.key))

    async def models(self, request: Request) -> Response:
        """What may be asked."""
        names = [*self.served, *([self.vectors.name] if self.vectors else [])]
        data = [{"id": name, "object": "model", "created": 0, "owned_by": "espalier"} for name in names]
        for model in data:
            model["kind"] = self._kind(str(model["id"]))
        if self.upstream is not None:
            data += [{**model, "kind": "model"} for model in await self.upstream.models() if model["id"] not in names]
        return _json({"object": "list", "data": data})

    async def chat(self, request: Request) -> Response:
        """A conversation gone on with."""
        return await self._completions(request, chat=True)

    async def completions(self, request: Request) -> Response:
        """A text gone on with."""
        return await self._completions(request, chat=False)

    async def embeddings(self, request: Request) -> Response:
        """Texts as vectors."""
        body = table_of(await request.body())
        if self.vectors is not None and (self.upstream is None or body.get("model") == self.vectors.name):
            self._check_name(body.get("model"), [self.vectors.name])
            return _json(await self.vectors.answer(body))
        if self.upstream is None:
            raise RequestError("no embedder is served here; start the server with --embedder NAME.", 404)
        return await self._forwarded(request, "/embeddings", body)

    async def source(self, request: Request) -> Response:
        """A stretch of a document, as a page."""
        where = {name: request.query_params.get(name, "") for name in ("index", "document", "start", "end")}
        sign = request.query_params.get("sign", "")
        if self.key and not hmac.compare_digest(sign.encode(), signature(where, self.key).encode()):
            raise RequestError("this link was not made by this server, or its key has changed.", 403)
        index = self.served.get(where["index"])
        if not isinstance(index, Knowledge) or not all(
            where[name].isascii() and where[name].isdigit() for name in ("start", "end")
        ):
            raise RequestError("there is no such source.", 404)
        parts = await index.source(where["document"], int(where["start"]), int(where["end"]))
        return source_page(where["document"], *parts)

    async def _completions(self, request: Request, *, chat: bool) -> Response:
        body = table_of(await request.body())
        served = self.served.get(str(body.get("model")))
        if served is None and self.upstream is not None:
            return await self._forwarded(request, "/chat/completions" if chat else "/completions", body)
        asked = asked_of(body, chat=chat)
        if served is None:
            self._check_name(asked.model, list(self.served))
            raise AssertionError
        return await self._answered(request, served, asked)

    async def _answered(self, request: Request, served: Served, asked: Asked) -> Response:
        from starlette.responses import StreamingResponse

        reply = Reply(asked)
        deltas = served.answer(asked, str(request.base_url))
        if not asked.stream:
            return _json(await _unless_gone(request, reply.whole(deltas)))
        events = reply.events(await _unless_gone(request, begun(deltas, AT_ONCE)))
        return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def _forwarded(self, request: Request, path: str, body: dict[str, Any]) -> Response:
        assert self.upstream is not None
        return await _unless_gone(request, self.upstream.forward(path, body))

    def _check_name(self, name: Any, known: list[str]) -> None:
        if name not in known:
            raise RequestError(unknown("model", str(name), known), 404)

    def _kind(self, name: str) -> str:
        if self.vectors is not None and name == self.vectors.name:
            return "embedder"
        return "index" if isinstance(self.served[name], Knowledge) else "model"


def routes(service: Service) -> Starlette:
    """The app without its guard."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    async def nowhere(request: Request, problem: Exception) -> Response:
        status = problem.status_code if isinstance(problem, HTTPException) else 500
        said = "method" if status == 405 else "path"
        return refusal(RequestError(f"no such {said}: {request.method} {request.url.path}.", status))

    async def told(request: Request, problem: Exception) -> Response:
        return refusal(problem)

    ways = {
        "/": service.page, "/health": service.health, "/source": service.source, "/v1/models": service.models,
    }  # fmt: skip
    asks = {
        "/v1/chat/completions": service.chat, "/v1/completions": service.completions,
        "/v1/embeddings": service.embeddings,
    }  # fmt: skip
    known = [Route(path, way) for path, way in ways.items()]
    known += [Route(path, way, methods=["POST"]) for path, way in asks.items()]
    return Starlette(routes=known, exception_handlers={HTTPException: nowhere, EspalierError: told, Exception: told})


async def _unless_gone(request: Request, work: Awaitable[Found]) -> Found:
    """What comes of some work, which is cancelled if the client leaves."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(request.receive())
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise RequestError("the client has gone.", 499)
        return task.result()
    finally:
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


def _json(table: dict[str, Any]) -> Response:
    from starlette.responses import JSONResponse

    return JSONResponse(table)
