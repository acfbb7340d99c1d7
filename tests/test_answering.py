"""Models by name: on this machine, or behind a server, each opened once."""

import pytest

from espalier.answering import Answering, split_address, stamp
from espalier.errors import ModelError, RecipeError
from tests.lm.server import Reply, Server
from tests.models_on_disk import save_model


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def server():
    made = Server()
    yield made
    made.stop()


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("http://localhost:8000/v1", ("http://localhost:8000/v1", "")),
        ("http://localhost:8000/v1:qwen3:8b", ("http://localhost:8000/v1", "qwen3:8b")),
        ("https://api.openai.com/v1:gpt-x", ("https://api.openai.com/v1", "gpt-x")),
        ("http://[::1]:80/v1:org/model", ("http://[::1]:80/v1", "org/model")),
        ("http://host", ("http://host", "")),
    ],
)
def test_an_address_may_name_a_model(name, parts):
    assert split_address(name) == parts


def test_a_server_is_asked_by_several_threads_and_its_answers_are_cached(server, tmp_path):
    with Answering() as answering:
        lm = answering.open(f"{server.url}:small")
        assert lm is answering.open(f"{server.url}:small") and lm.name == "small" and answering.workers == 8
        assert lm.complete("Hi", n=2, temperature=1.0) == lm.complete("Hi", n=2, temperature=1.0)
        answering.open(f"{server.url}:large").complete("Hi")
        assert +answering.spent() == {
            "calls": 2, "hits": 2, "prompt_tokens": 6, "completion_tokens": 6,
        }  # fmt: skip
    assert (tmp_path / "cache" / "answers.sqlite").exists()


def test_a_server_with_one_model_need_not_be_told_which(server):
    with Answering() as answering:
        with pytest.raises(RecipeError, match=r"/v1:MODEL; it has small, large\.$"):
            answering.open(server.url)
        server.answer = lambda asked: Reply({"data": [{"id": "only"}]})
        assert answering.open(server.url).model == "only"
        server.answer = lambda asked: Reply({}, 404)
        with pytest.raises(RecipeError, match="does not say which"):
            answering.open(f"{server.url}/")


def test_a_key_is_read_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("MINE", "secret")
    with Answering(key_variable="MINE") as answering:
        answering.open(f"{server.url}:small").complete("Hi")
    assert server.asked[0].headers["Authorization"] == "Bearer secret"
    with Answering(key_variable="YOURS") as answering, pytest.raises(RecipeError, match="YOURS is not set"):
        answering.open(f"{server.url}:small")


def test_a_model_here_is_asked_by_one_thread_and_counts_its_tokens(tmp_path):
    save_model(tmp_path / "model", max_position_embeddings=256)
    with Answering(dtype="float32") as answering:
        lm = answering.open(str(tmp_path / "model"))
        assert answering.workers == 1 and lm.name == str(tmp_path / "model")
        [samples] = lm.sample(["Hi"], n=2, max_tokens=3)
        spent = answering.spent()
        assert (spent["calls"], spent["completion_tokens"]) == (1, sum(len(sample.ids) for sample in samples))
        assert spent["prompt_tokens"] == len(lm.renderer.prompt("Hi"))
        lm.logprobs("Hi", ["a", "b"])
        assert answering.spent()["prompt_tokens"] > spent["prompt_tokens"]
        with pytest.raises(ModelError, match="no such folder"):
            answering.open("./nowhere")


def test_a_stamp_changes_with_the_weights(tmp_path):
    assert stamp("http://x/v1:y") == ["http://x/v1:y"] and stamp("org/model") == ["org/model"]
    (tmp_path / "model.safetensors").write_bytes(b"1")
    (tmp_path / "checkpoints").mkdir()
    before = stamp(str(tmp_path))
    (tmp_path / "checkpoints" / "model.safetensors").write_bytes(b"1")
    assert stamp(str(tmp_path)) == before
    (tmp_path / "model.safetensors").write_bytes(b"12")
    assert stamp(str(tmp_path)) != before
