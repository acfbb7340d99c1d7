"""A page for one person on this machine: its address is random, everything it changes is written at once."""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from functools import cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any, Protocol

from espalier.errors import EspalierError, RowError
from espalier.serve.guard import Guard
from espalier.serve.pages import page as page_of
from espalier.serve.process import bound, run

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

HOST = "127.0.0.1"  # never another: there is no key but the address


class Desk(Protocol):
    """What a page shows, and what can be done there."""

    @property
    def name(self) -> str: ...  # of its files in the folder `page`
    @property
    def title(self) -> str: ...

    def state(self) -> dict[str, Any]:
        """Everything the page needs when it opens."""

    def act(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Do what the page asks; what is changed is in the file when this returns.

        Raises:
            EspalierError: it cannot be; the page shows the sentence.
        """


def serve(desk: Desk, *, port: int = 0, ready: Callable[[str], None]) -> None:
    """Show a page until Ctrl-C.

    Args:
        desk: what it shows.
        port: 0 takes a free one.
        ready: told the address.
    """
    token = secrets.token_urlsafe(24)
    with contextlib.closing(bound(HOST, port)) as where:
        address = f"http://{HOST}:{where.getsockname()[1]}/{token}/"
        with contextlib.suppress(KeyboardInterrupt):
            run(guarded(desk, token), where, ready=lambda: ready(address), end=lambda: None)


def guarded(desk: Desk, token: str) -> Guard:
    """The routes of a page, for this machine alone."""
    return Guard(_routes(desk, token), host=HOST)


def _routes(desk: Desk, token: str) -> Starlette:
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse
    from starlette.routing import Route

    def known(request: Request) -> bool:
        return hmac.compare_digest(str(request.path_params["token"]).encode(), token.encode())

    async def page(request: Request) -> Response:
        return _page(desk) if known(request) else PlainTextResponse("there is no such page", 404)

    async def state(request: Request) -> Response:
        return JSONResponse(desk.state()) if known(request) else JSONResponse({}, 404)

    async def act(request: Request) -> Response:
        if not known(request):
            return JSONResponse({}, 404)
        try:
            return JSONResponse(desk.act(_table(await request.body())))
        except EspalierError as problem:
            return JSONResponse({"problem": str(problem)}, 400)

    return Starlette(
        routes=[Route("/{token}/", page), Route("/{token}/state", state), Route("/{token}/act", act, methods=["POST"])]
    )


def _table(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise RowError("the page sent no JSON object.")
    return found


def _page(desk: Desk) -> Response:
    style, script = _part("review.css"), _part("review.js") + _part(f"{desk.name}.js")
    html = _part(f"{desk.name}.html").replace("<!--title-->", escape(desk.title))
    return page_of(html.replace("<!--style-->", style).replace("<!--script-->", script), style, script)


@cache
def _part(name: str) -> str:
    return resources.files("espalier.reviewing").joinpath("page", name).read_text(encoding="utf-8")
