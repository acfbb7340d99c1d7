"""Pages on a free port, in a thread."""

import contextlib
import json
import threading

import httpx
import pytest

from espalier.reviewing.server import guarded
from espalier.serve.process import _server, bound

TOKEN = "t0ken"
EVIL = '<script>document.title = "pwned"</script><img src=x onerror=alert(1)> **bold**'
TEXT = f"🍵 Green tea is brewed\nat 80 degrees. {EVIL} Two minutes are enough."


@contextlib.contextmanager
def serving(desk):
    """A page's address."""
    where, up = bound("127.0.0.1", 0), threading.Event()
    server = _server(guarded(desk, TOKEN), up.set, lambda: None)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [where]}, daemon=True)
    thread.start()
    assert up.wait(20)
    try:
        yield f"http://127.0.0.1:{where.getsockname()[1]}/{TOKEN}/"
    finally:
        server.should_exit = True
        thread.join(20)
        where.close()


@contextlib.contextmanager
def asking(desk):
    """A client of a page."""
    with serving(desk) as url, httpx.Client(base_url=url, verify=False) as client:
        yield client


def question(number, quote="Two minutes are enough.", **more):
    start = TEXT.find(quote)
    row = {"id": f"q{number}", "question": f"Question {number}? {EVIL}", "answers": ["two"], "quote": quote}
    row |= {"document": "tea.md", "start": 100 + start, "end": 100 + start + len(quote)}
    return row | {"passages": [{"text": TEXT, "title": "Tea", "id": "tea.md"}], "gold": [0]} | more


def lines(file):
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()]


@pytest.fixture
def file(tmp_path):
    """Three questions."""
    found = tmp_path / "questions.jsonl"
    found.write_text("".join(json.dumps(question(n)) + "\n" for n in range(3)), encoding="utf-8")
    return found
