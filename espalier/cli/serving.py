"""`espalier serve`: models and indexes behind OpenAI's protocol, and a page to talk to them."""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from espalier import console
from espalier.cli.options import Dtype, Model, Threads
from espalier.errors import RecipeError, RunError
from espalier.settings import Settings, answering

if TYPE_CHECKING:
    from espalier.serve.opening import Opened, Wanted

Lm = Annotated[
    str | None, typer.Option("--lm", metavar="URL", help="A server instead of a model: http://HOST:PORT/v1[:NAME].")
]
LmKey = Annotated[str | None, typer.Option(metavar="NAME", help="Environment variable with that server's key.")]
With = Annotated[
    str, typer.Option("--with", metavar="PIPELINE", help="How it is searched and read: hybrid+upr+flare. bm25.")
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="PART.NAME=VALUE", help="An option of a part: rm3.terms=20.")
]


def serve(
    model: Model = None,
    lm: Lm = None,
    adapter: Annotated[str | None, typer.Option(metavar="RUN", help="The model that this run or adapter made.")] = None,
    index: Annotated[
        list[Path] | None, typer.Option(metavar="KB", help="An index, which answers as the model kb/NAME.")
    ] = None,
    pipeline: With = "",
    settings: Set = None,
    k: Annotated[int | None, typer.Option("--k", min=1, metavar="N", help="How many passages are read.")] = None,
    embedder: Annotated[str | None, typer.Option(metavar="NAME", help="What answers at /v1/embeddings.")] = None,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="0.0.0.0 lets other machines ask.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="0 takes a free one.")] = 8000,
    key_variable: Annotated[
        str | None, typer.Option(metavar="NAME", help="Environment variable with the key that clients must know.")
    ] = None,
    lm_key_variable: LmKey = None,
    max_clients: Annotated[int, typer.Option(min=1, metavar="N", help="Requests at once; more get 503.")] = 256,
    max_body: Annotated[int, typer.Option(min=1024, metavar="BYTES", help="Largest request.")] = 1 << 20,
    at_once: Annotated[int, typer.Option(min=1, metavar="N", help="Answers written together.")] = 64,
    dtype: Dtype = "auto",
    threads: Threads = None,
) -> None:
    """Serve models and indexes by OpenAI's protocol.

    At / is a page to talk to them. An index answers with sources: numbered in the text, listed under it, and as a
    table in the field `citations`. Ctrl-C ends it.
    """
    from espalier.serve.opening import Wanted
    from espalier.serve.process import bound, key_of

    needed()
    if model is not None and adapter is not None:
        raise RecipeError("--model and --adapter both name the model that answers; an adapter knows its own base.")
    defaults = Settings.read()
    model, lm = answering(model or adapter, lm, defaults)
    if index is None and defaults.index is not None:
        defaults.used("index")
        index = [Path(defaults.index)]
    if embedder is None and defaults.embedder is not None:
        defaults.used("embedder")
        embedder = defaults.embedder
    key = key_of(host, key_variable)
    wanted = Wanted(
        model, lm, index or (), pipeline, settings or (), embedder, k, lm_key_variable, dtype, at_once,
        clients=max_clients,
    )  # fmt: skip
    with contextlib.closing(bound(host, port)) as where:
        _serve(wanted, where, host=host, key=key, body=max_body)


def _serve(wanted: Wanted, where: object, *, host: str, key: str, body: int) -> None:
    import socket

    from espalier.serve.app import routes
    from espalier.serve.guard import Guard, Limits
    from espalier.serve.opening import opened
    from espalier.serve.process import run

    assert isinstance(where, socket.socket)
    found = opened(wanted, key=key)
    limits = Limits(clients=wanted.clients, body=body)
    guard = Guard(routes(found.service), key=key, host=host, limits=limits)
    port = where.getsockname()[1]
    try:
        run(guard, where, ready=lambda: _ready(found, host, port), end=found.close)
    finally:
        found.close()


def _ready(found: Opened, host: str, port: int) -> None:
    """Say what is served and where."""
    out = console.make()
    name = f"[{host}]" if ":" in host else host
    shown = "localhost" if name in ("127.0.0.1", "[::1]") else name
    names = [*found.service.served, *([found.service.vectors.name] if found.service.vectors else [])]
    if found.service.upstream is not None:
        names.append(f"what {found.service.upstream.url} has")
    console.facts(
        out,
        [
            ("serving", ", ".join(map(console.visible, names))),
            ("protocol", f"http://{shown}:{port}/v1"),
            ("page", f"http://{shown}:{port}/"),
            ("key", "clients must send it" if found.service.key else "none: this machine alone may ask"),
        ],
    )
    out.file.flush()


def needed() -> None:
    """Raise if what serving needs is not installed.

    Raises:
        RunError: it is not.
    """
    if not all(map(importlib.util.find_spec, ("starlette", "uvicorn"))):
        raise RunError("serving needs starlette and uvicorn: pip install 'espalier-lm[serve]'.")
