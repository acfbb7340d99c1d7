"""The running server: its port, its key, connections that do not keep up, and an orderly end."""

from __future__ import annotations

import errno
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from espalier.errors import RecipeError, RunError
from espalier.serve.guard import is_loopback

if TYPE_CHECKING:
    import uvicorn

    from espalier.serve.guard import Guard

HEADERS_SECONDS = 15.0  # until the headers of a request have arrived
STALLED_SECONDS = 60.0  # that a client may take nothing of what it asked for
GRACE = 5.0  # seconds for answers under way when the server ends
SHORTEST_KEY = 16


def key_of(host: str, variable: str | None) -> str:
    """The key that clients must know; "" for none, which is for this machine alone.

    Raises:
        RecipeError: there is none and other machines could ask, or the variable holds none.
    """
    if variable is None:
        if is_loopback(host):
            return ""
        raise RecipeError(
            f"--host {host} lets other machines ask, so a key is needed: put one into an environment variable and name "
            'it, export ESPALIER_KEY="$(openssl rand -hex 24)" and --key-variable ESPALIER_KEY.'
        )
    key = os.environ.get(variable, "").strip()
    if not key:
        raise RecipeError(f"the environment variable {variable} is not set; put the key that clients must know there.")
    if len(key) < SHORTEST_KEY or not (key.isascii() and key.isprintable()):
        raise RecipeError(f"the key in {variable} can be guessed: it needs at least {SHORTEST_KEY} letters and digits.")
    return key


def bound(host: str, port: int) -> socket.socket:
    """A socket at an address, which does not listen yet.

    Raises:
        RunError: the address is taken, or is none of this machine's.
    """
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise RunError(f"--host {host}: there is no such address; 127.0.0.1 is this machine alone.") from None
    found = socket.socket(family, kind, number)
    try:
        if os.name == "posix":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as problem:
        found.close()
        if problem.errno == errno.EADDRINUSE:
            raise RunError(f"port {port} of {host} is in use; stop what runs there, or give another --port.") from None
        if problem.errno == errno.EACCES:
            raise RunError(f"port {port} may not be used by you; give a --port above 1023.") from None
        raise RunError(f"--host {host} is no address of this machine ({problem.strerror}).") from None
    return found


def run(guard: Guard, where: socket.socket, *, ready: Callable[[], None], end: Callable[[], None]) -> None:
    """Serve until Ctrl-C or a signal to end.

    Args:
        guard: the app.
        where: the address.
        ready: called when clients may come.
        end: called when answers under way have had their time; it ends them.

    Raises:
        KeyboardInterrupt: by Ctrl-C.
    """
    server = _server(guard, ready, end)
    before = signal.signal(signal.SIGTERM, lambda *_: None)  # the server sends itself the signal again at its end
    try:
        server.run(sockets=[where])
    finally:
        signal.signal(signal.SIGTERM, before)


def _server(guard: Guard, ready: Callable[[], None], end: Callable[[], None]) -> uvicorn.Server:
    """uvicorn's server, which says when it begins and ends."""
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            import asyncio

            if guard.under_way:
                answers = "1 answer" if guard.under_way == 1 else f"{guard.under_way} answers"
                said = f"\nending: {answers} under way, at most {GRACE:g} s; Ctrl-C again stops at once"
                print(said, file=sys.stderr, flush=True)
            asyncio.get_running_loop().call_later(GRACE if guard.under_way else 0, end)
            await super().shutdown(sockets)

    config = uvicorn.Config(
        guard, http=_patient(), ws="none", lifespan="off", log_config=None, log_level="critical", access_log=False,
        server_header=False, timeout_keep_alive=30, timeout_graceful_shutdown=int(GRACE) + 3,
        limit_concurrency=4 * guard.limits.clients + 64,
    )  # fmt: skip
    return Server(config)


def _patient() -> type[Any]:
    """uvicorn's protocol with an end to its patience: for headers that do not come, for clients that do not read."""
    from uvicorn.protocols.http.h11_impl import H11Protocol

    class Patient(H11Protocol):
        late: Any = None
        stalled: Any = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._wait()

        def _wait(self) -> None:
            """Headers are awaited while no request is under way; between two requests keep-alive has its own limit."""
            import h11

            if self.conn.their_state is not h11.IDLE:
                self._cancel()
            elif self.late is None:
                self.late = self.loop.call_later(HEADERS_SECONDS, self.transport.abort)

        def _cancel(self) -> None:
            if self.late is not None:
                self.late.cancel()
                self.late = None

        def pause_writing(self) -> None:
            super().pause_writing()
            self.stalled = self.loop.call_later(STALLED_SECONDS, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self.stalled is not None:
                self.stalled.cancel()

        def connection_lost(self, problem: Exception | None) -> None:
            self._cancel()
            if self.stalled is not None:
                self.stalled.cancel()
            super().connection_lost(problem)

    return Patient
