"""The pages: one to talk to models, one that shows a source. No network, no frameworks; nothing of a text is HTML."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.responses import Response


def chat_page(*, keyed: bool) -> Response:
    """The page to talk to models.

    Args:
        keyed: whether it has to ask for a key.
    """
    style, script = _part("chat.css"), _part("chat.js")
    html = _part("chat.html").replace("<!--style-->", style).replace("<!--script-->", script)
    return page(html.replace("<!--keyed-->", "true" if keyed else "false"), style, script)


def source_page(document: str, before: str, quoted: str, behind: str) -> Response:
    """A stretch of a document, marked, with what stands around it."""
    style, script = _part("source.css"), ""
    html = _part("source.html").replace("<!--style-->", style)
    parts = {"document": document, "before": before, "quoted": quoted, "behind": behind}
    head, *others = html.split("<!--")
    found = head
    for part in others:
        name, _, rest = part.partition("-->")
        found += escape(parts.get(name, "")) + rest
    return page(found, style, script)


def page(html: str, style: str, script: str) -> Response:
    """A page that may run its own script, use its own style and ask its own server, and nothing else."""
    from starlette.responses import HTMLResponse

    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return HTMLResponse(html, headers={"Content-Security-Policy": policy})


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" if text else "'none'"


@cache
def _part(name: str) -> str:
    return resources.files("espalier.serve").joinpath("page", name).read_text(encoding="utf-8")
