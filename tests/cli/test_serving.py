"""`espalier serve` as it is typed; that it serves is tested in tests/serve."""

import socket

import pytest

from espalier import settings
from espalier.cli import main, serving
from espalier.indexing import index
from espalier.serve import process
from tests.models_on_disk import save_model


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(settings, "_said", set())
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("Belmi was born in Kastel.", encoding="utf-8")
    index(tmp_path / "docs", tmp_path / "docs.kb")
    return tmp_path


def test_what_is_served_is_said(folder, monkeypatch, capsys):
    save_model(folder / "model", max_position_embeddings=256)
    (folder / "espalier.toml").write_text('model = "model"\nindex = "docs.kb"', encoding="utf-8")
    monkeypatch.setattr(process, "run", lambda guard, where, *, ready, end: ready())
    assert main(["serve", "--port", "0", "--dtype", "float32"]) == 0
    said = capsys.readouterr()
    assert "serving     model, kb/docs\n" in said.out and "this machine alone may ask" in said.out
    assert "http://localhost:" in said.out and "model = model" in said.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "nothing is named that answers"),
        (["--index", "docs.kb"], "nothing is named that answers"),
        (["--model", "m", "--lm", "http://localhost:1/v1"], "--model and --lm both name"),
        (["--model", "m", "--adapter", "r"], "--model and --adapter both name"),
        (["--model", "./nowhere"], "./nowhere"),
        (["--lm", "localhost:1"], "no address of a server"),
        (["--lm", "http://127.0.0.1:9/v1:m", "--index", "nothing.kb"], "there is no index nothing.kb"),
        (["--lm", "http://127.0.0.1:9/v1:m", "--index", "docs/a.txt"], "is not an index"),
        (["--lm", "http://127.0.0.1:9/v1:m", "--index", "docs.kb", "--index", "docs.kb"], "two indexes"),
        (["--lm", "http://127.0.0.1:9/v1:m", "--index", "docs.kb", "--with", "bm52"], "Did you mean 'bm25'?"),
        (["--lm", "http://127.0.0.1:9/v1", "--host", "0.0.0.0"], "a key is needed"),
        (["--lm", "http://127.0.0.1:9/v1", "--key-variable", "NO_SUCH"], "NO_SUCH is not set"),
        (["--lm", "http://127.0.0.1:9/v1", "--with", "bm25"], "how an index is read"),
        (["--port", "70000"], "65535"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, sentence, monkeypatch, capsys):
    monkeypatch.setattr(process, "run", pytest.fail)
    assert main(["serve", *(["--port", "0"] if "--port" not in words else []), *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_a_port_in_use_is_said_before_a_model_is_loaded(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--model", "./nowhere", "--port", port]) == 2
    assert f"port {port} of 127.0.0.1 is in use" in capsys.readouterr().err


def test_what_is_missing_is_named(monkeypatch, capsys):
    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda name: None)
    assert main(["serve", "--model", "m"]) == 2
    assert "pip install 'espalier-lm[serve]'" in capsys.readouterr().err
