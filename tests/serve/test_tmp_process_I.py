"""The port, the key, connections that do not keep up, and the end."""

import contextlib
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from espalier.errors import RecipeError, RunError
from espalier.serve import process
from espalier.serve.app import Service
from espalier.serve.process import bound, key_of
from tests.serve.conftest import serving


def test_a_key_is_needed_where_others_may_ask(monkeypatch):
    assert key_of("127.0.0.1", None) == "" == key_of("localhost", None)
    with pytest.raises(RecipeError, match="a key is needed"):
        key_of("0.0.0.0", None)
    monkeypatch.delenv("KEY", raising=False)
    with pytest.raises(RecipeError, match="KEY is not set"):
        key_of("127.0.0.1", "KEY")
    monkeypatch.setenv("KEY", "short")
    with pytest.raises(RecipeError, match="can be guessed"):
        key_of("127.0.0.1", "KEY")
    monkeypatch.setenv("KEY", "x" * 24)
    assert key_of("0.0.0.0", "KEY") == "x" * 24


def test_a_port_in_use_and_an_address_of_nobody():
    with contextlib.closing(bound("127.0.0.1", 0)) as where:
        where.listen()
        with pytest.raises(RunError, match="is in use"):
            bound("127.0.0.1", where.getsockname()[1])
    with pytest.raises(RunError, match="no address of this machine"):
        bound("192.0.2.1", 0)
    with pytest.raises(RunError, match="there is no such address"):
        bound("no such.host", 0)


def test_headers_that_do_not_come_end_the_connection(monkeypatch):
    monkeypatch.setattr(process, "HEADERS_SECONDS", 0.1)
    with serving(Service({})) as url:
        address = ("127.0.0.1", httpx.URL(url).port)
        for begun in (b"", b"GET / HTTP/1.1\r\nHost: lo"):
            with socket.create_connection(address) as connection:
                connection.sendall(begun)
                connection.settimeout(5)
                with contextlib.suppress(ConnectionResetError):
                    assert connection.recv(100) == b""
        with httpx.Client() as client:  # one that is kept alive between requests is not cut
            for _ in range(2):
                assert client.get(f"{url}/health").status_code == 200
                time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_a_signal_ends_it_in_order(number, code):
    command = [sys.executable, "/tmp/I/cli.py", "serve", "--model", "sprout", "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as running:
        address = next(line.split()[1] for line in running.stdout if line.startswith("protocol"))
        body = {"model": "sprout", "prompt": "Once", "max_tokens": 2000, "stream": True}
        with httpx.stream("POST", f"{address}/completions", json=body, timeout=30) as stream:
            lines = stream.iter_lines()
            next(lines)
            running.send_signal(number)
            last = [line for line in lines if line][-1]
        assert "[DONE]" in last or "shutting down" in last
        assert running.wait(20) == code and "ending: 1 answer under way" in running.stderr.read()
