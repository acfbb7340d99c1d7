"""What every test gets: one thread, no network, the same random numbers, and the real data where there is any."""

import os
import random
import socket
import sys
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")  # before torch is imported

import hypothesis
import pytest

hypothesis.settings.register_profile("same", deadline=None, derandomize=True, database=None, max_examples=30)
hypothesis.settings.load_profile("same")

DATA = os.environ.get("ESPALIER_DATA")
LOCAL = ("localhost", "127.", "::1", "0.0.0.0")


@pytest.fixture(autouse=True)
def skip_without(request: pytest.FixtureRequest) -> None:
    """Skip a test whose data or device is not here."""
    if DATA is None and request.node.get_closest_marker("data"):
        pytest.skip("ESPALIER_DATA is not set")
    if request.node.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")


@pytest.fixture
def data_folder() -> Path:
    """The real data; a test that asks for it is marked `data`."""
    assert DATA is not None, "mark this test with @pytest.mark.data"
    return Path(DATA)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to another machine fails the test that opens it."""
    connect = socket.socket.connect

    def local_only(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOCAL):
            raise AssertionError(f"a test opened a connection to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", local_only)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """The same random numbers in every test, whichever ran before it."""
    random.seed(0)
    if torch := sys.modules.get("torch"):  # a test that needs no torch does not wait for it
        torch.manual_seed(0)
