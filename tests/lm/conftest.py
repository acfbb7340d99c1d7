"""A server for the tests of clients, and clients that do not sleep."""

from typing import Any

import pytest

from espalier.lm.cache import Cache
from espalier.lm.http import Http
from tests.lm.server import NOW, Server


@pytest.fixture(scope="module")
def served():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def server(served):
    served.reset()
    return served


@pytest.fixture
def open_lm(server):
    """Makes clients of the server whose sleeps are only written down."""
    made: list[Http] = []

    def make(name: str = "small", url: str = server.url, **more: Any) -> Http:
        slept: list[float] = []
        made.append(Http(name, url, **{"sleep": slept.append, "now": lambda: NOW, **more}))
        made[-1].slept = slept
        return made[-1]

    yield make
    for lm in made:
        lm.close()


@pytest.fixture
def cache(tmp_path):
    with Cache(tmp_path / "answers.sqlite") as cache:
        yield cache
