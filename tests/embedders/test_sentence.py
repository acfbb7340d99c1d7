"""Any sentence encoder by its folder."""

import pytest

from espalier.catalogue import build
from espalier.contracts import Embedder
from espalier.embedders.sentence import Sentence
from espalier.errors import RecipeError
from tests.sentence_models import save_sentence_model


def test_a_folder_is_opened_with_what_its_files_say(tmp_path):
    folder = save_sentence_model(tmp_path / "model", {"pooling_mode_cls_token": True}, prompts={"query": "find : "})
    embedder: Embedder = build({"method": "embedders/sentence", "model": str(folder)})
    assert embedder.name.startswith("model:") and "pooling: cls" in embedder.about and "'find : '" in embedder.about
    assert embedder.embed(["the cat", "a dog"]).shape == (2, 16) and embedder.shortened == 0
    cut = Sentence(str(folder), max_tokens=4)
    cut.embed(["the cat sat on the mat"])
    assert cut.shortened == 1 and cut.name != embedder.name


def test_a_length_that_holds_no_word():
    with pytest.raises(RecipeError, match="max_tokens is 2"):
        Sentence(max_tokens=2)
