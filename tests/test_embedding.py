"""Embedders by name, and how much of a text is Latin."""

import pytest

from espalier import catalogue
from espalier.embedding import TextEmbedder, fingerprint, foreign_share, is_static, open_embedder, unit
from espalier.errors import ModelError, RecipeError
from tests.sentence_models import save_static, write


@pytest.mark.parametrize(
    ("name", "address", "options"),
    [
        ("minilm", "embedders/minilm", {}),
        ("http://here:80/v1:qwen3:8b", "embedders/server", {"url": "http://here:80/v1", "model": "qwen3:8b"}),
        ("https://a.b/v1:BAAI/bge-m3", "embedders/server", {"url": "https://a.b/v1", "model": "BAAI/bge-m3"}),
    ],
)  # fmt: skip
def test_a_name_decides_the_embedder(name, address, options):
    made = open_embedder(name)
    assert catalogue.address_of(made) == address and isinstance(made, TextEmbedder)
    assert options.items() <= catalogue.options(made).items()


def test_a_folder_is_static_or_a_sentence_encoder(tmp_path):
    write(tmp_path / "bert" / "config.json", {"model_type": "bert"})
    assert catalogue.address_of(open_embedder(str(tmp_path / "bert"))) == "embedders/sentence"
    assert catalogue.address_of(open_embedder(str(save_static(tmp_path / "static")))) == "embedders/static"
    write(tmp_path / "st" / "modules.json", [{"type": "sentence_transformers.models.StaticEmbedding", "path": ""}])
    assert is_static(tmp_path / "st")


@pytest.mark.parametrize(
    ("name", "problem", "sentence"),
    [
        ("http://localhost:8000/v1", RecipeError, "names no model"),
        (" ", RecipeError, "has no name"),
        ("./nowhere", ModelError, "no such folder"),
        ("a/b/c", ModelError, "no such folder"),
        ("nobody/nothing", ModelError, "the hub cannot be reached"),
    ],
)
def test_names_that_lead_nowhere(name, problem, sentence):
    with pytest.raises(problem, match=sentence):
        open_embedder(name)


def test_damaged_json_is_named(tmp_path):
    (tmp_path / "modules.json").write_text("[", encoding="utf-8")
    with pytest.raises(ModelError, match=r"modules\.json is no JSON"):
        open_embedder(str(tmp_path))


@pytest.mark.parametrize(
    ("texts", "share"),
    [
        (["The cat."], 0),
        (["Crème brûlée, \ufb01ne in München; \uff46\uff55\uff4c\uff4c"], 0),
        (["ab 12 가나 !?"], 0.5),
        (["abc", "가"], 0.25),
        (["123", ""], 0),
        ([], 0),
        (["Ελλάς"], 1),
    ],
)
def test_share_of_letters_that_are_not_latin(texts, share):
    assert foreign_share(texts) == share


def test_a_fingerprint_changes_with_weights_and_options(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    first = fingerprint(tmp_path, ("mean",))
    (tmp_path / "README.md").write_text("words")
    assert fingerprint(tmp_path, ("mean",)) == first != fingerprint(tmp_path, ("cls",))
    (tmp_path / "model.safetensors").write_bytes(b"others")
    assert fingerprint(tmp_path, ("mean",)) != first


def test_unit_keeps_zero():
    assert unit([[3, 4], [0, 0]]).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]
