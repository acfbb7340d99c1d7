"""Static vectors: the mean over a text's known words."""

import numpy as np
import pytest

from espalier.embedders.static import Static
from espalier.embedding import unit
from espalier.errors import ModelError
from tests.sentence_models import VOCABULARY, WORDS, save_static, write


def vectors():
    return np.random.default_rng(2).standard_normal((len(VOCABULARY), 8)).astype(np.float32)


def test_formula_a_text_is_the_mean_of_its_known_words(tmp_path):
    found = Static(str(save_static(tmp_path / "m"))).embed(["the CAT unknown", "unknown", ""])
    expected = vectors()[[VOCABULARY["the"], VOCABULARY["cat"]]].mean(0)
    assert found[0] == pytest.approx(unit(expected), abs=1e-6)
    assert not found[1:].any()


def test_shared_and_weighted_vectors(tmp_path):
    mapping, weights = np.zeros(len(VOCABULARY), np.int64), np.ones(len(VOCABULARY), np.float32)
    mapping[VOCABULARY["cat"]], weights[VOCABULARY["cat"]] = 5, 3.0
    found = Static(str(save_static(tmp_path / "m", mapping=mapping, weights=weights))).embed(["the cat"])
    assert found[0] == pytest.approx(unit(vectors()[0] + 3 * vectors()[5]), abs=1e-6)


def test_equals_model2vec(tmp_path):
    peer = pytest.importorskip("model2vec")
    folder, chance = save_static(tmp_path / "m"), np.random.default_rng(0)
    texts = [" ".join(chance.choice([*WORDS, "zz"], 6)) for _ in range(20)]
    theirs = peer.StaticModel.from_pretrained(str(folder))
    assert Static(str(folder)).embed(texts) == pytest.approx(theirs.encode(texts), abs=1e-6)


@pytest.mark.data
def test_equals_model2vec_on_a_real_model(data_folder):
    peer = pytest.importorskip("model2vec")
    folder = data_folder.parent / "models" / "potion4m_int8"
    texts = ["The capital of France is Paris.", "Cats sleep.", "한국어 문장", "naïve café " * 30]
    theirs = peer.StaticModel.from_pretrained(str(folder)).encode(texts)
    assert Static(str(folder)).embed(texts) == pytest.approx(theirs, abs=1e-5)  # theirs sums in another order


def test_what_is_no_static_model(tmp_path):
    write(tmp_path / "bert" / "config.json", {"model_type": "bert"})
    with pytest.raises(ModelError, match="is no static model"):
        Static(str(tmp_path / "bert")).embed(["cat"])
    folder = save_static(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="holds no static vectors"):
        Static(str(folder)).embed(["cat"])
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"there is no model\.safetensors"):
        Static(str(folder)).embed(["cat"])
