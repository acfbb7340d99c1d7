"""Vectors of a server: in batches, with prefixes, in the order asked for; and what a server may answer instead."""

import base64

import numpy as np
import pytest

from espalier.embedders.server import Server
from espalier.errors import EspalierError, ModelError, RecipeError, RunError
from tests.lm.server import Reply
from tests.lm.server import Server as Served


def vector(text):
    return [float(len(text)), 1.0, float(text.count("a"))]


def embeds(asked):
    data = [{"index": n, "embedding": vector(text)} for n, text in enumerate(asked.body["input"])]
    return Reply({"data": data[::-1], "usage": {"prompt_tokens": 3}})


@pytest.fixture(scope="module")
def served():
    server = Served()
    yield server
    server.stop()


@pytest.fixture
def server(served, monkeypatch, tmp_path):
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path))
    served.reset()
    served.answer = embeds
    return served


def open_one(server, **more):
    return Server("small", server.url, **{"retries": 0, **more})


def test_vectors_come_in_order_and_each_text_is_asked_for_once(server):
    found = open_one(server, batch=2).embed(["aa", "b", "aa", "", "cba"])
    expected = np.array([vector(text) for text in ("aa", "b", "aa", " ", "cba")])
    assert found == pytest.approx(expected / np.linalg.norm(expected, axis=1, keepdims=True), abs=1e-6)
    assert sorted(len(asked.body["input"]) for asked in server.asked) == [2, 2]
    assert {asked.path for asked in server.asked} == {"/v1/embeddings"} and found.dtype == np.float32


def test_queries_are_kept_and_have_their_prefix(server):
    made = {"query_prefix": "find: ", "passage_prefix": "text: "}
    first = open_one(server, **made).embed(["a"], query=True)
    assert (open_one(server, **made).embed(["a"], query=True) == first).all()
    assert [asked.body["input"] for asked in server.asked] == [["find: a"]]
    embedder = open_one(server, **made)
    embedder.embed(["a"])
    assert server.asked[-1].body["input"] == ["text: a"]
    assert "'find: '" in embedder.about and embedder.name != open_one(server).name


def test_vectors_as_bytes(server):
    text = base64.b64encode(np.array([3, 4], np.float32).tobytes()).decode()
    server.answer = lambda _: Reply({"data": [{"embedding": text}]})
    assert open_one(server).embed(["a"])[0].tolist() == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "does not answer with one vector for each text"),
        ({"data": []}, "does not answer"),
        ({"data": [{"embedding": "?"}]}, "does not answer"),
        ({"data": [{"embedding": [[1.0]]}]}, "does not answer"),
        ({"data": ["x"]}, "does not answer"),
    ],
)
def test_answers_that_are_no_vectors(server, content, sentence):
    server.answer = lambda _: Reply(content)
    with pytest.raises(ModelError, match=sentence):
        open_one(server).embed(["a"])


def test_vectors_of_several_lengths(server):
    server.answer = lambda asked: Reply({"data": [{"embedding": [1.0] * len(asked.body["input"][0])}]})
    with pytest.raises(ModelError, match="vectors of several lengths"):
        open_one(server, batch=1).embed(["a", "bb"])


@pytest.mark.parametrize(("status", "problem"), [(500, RunError), (400, ModelError), (401, ModelError)])
def test_a_server_that_fails(server, status, problem):
    server.answer = lambda _: Reply({"error": {"message": "no"}}, status)
    with pytest.raises(problem):
        open_one(server).embed(["a"])


def test_options_that_cannot_be():
    for options in ({"batch": 0}, {"url": "nowhere"}, {"retries": -1}):
        with pytest.raises(RecipeError):
            Server(**options)
    with pytest.raises(EspalierError, match="nothing answers"):
        Server("m", "http://127.0.0.1:9/v1", retries=0).embed(["a"])
