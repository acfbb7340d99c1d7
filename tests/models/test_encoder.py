"""A sentence encoder: pooled as its files say, equal to sentence-transformers, whatever batch a text is in."""

import math

import numpy as np
import pytest
import torch

from espalier.errors import ModelError
from espalier.models.encoder import Encoder, batches, pool
from tests.sentence_models import WORDS, save_body, save_sentence_model

TEXTS = ["the cat sat on the mat", "dog", "", "green tea and black coffee of the dog", "zzz " * 40, "CAT runs"]
MEAN = {"pooling_mode_mean_tokens": True}
STATES = torch.tensor([[[1.0], [5.0], [3.0], [9.0]], [[2.0], [4.0], [8.0], [6.0]]])
MASK = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 1]])


@pytest.mark.parametrize(
    ("way", "first", "second"),
    [
        ("cls", 1, 4),
        ("last", 3, 6),
        ("max", 5, 8),
        ("mean", 9 / 3, 18 / 3),
        ("mean_sqrt_length", 9 / math.sqrt(3), 18 / math.sqrt(3)),
        ("weighted_mean", (1 + 10 + 9) / 6, (8 + 24 + 24) / 9),  # places count from the text's first token
    ],
)
def test_formula_pool(way, first, second):
    assert pool(STATES, MASK, way).flatten().tolist() == pytest.approx([first, second], rel=1e-6)


def test_batches_hold_rows_of_about_the_same_length():
    lengths = [3, 0, 9, 4, 100, 8, 3]
    found = list(batches(lengths, 20))
    assert found == [[4], [2, 5], [3, 0, 6]]
    assert not list(batches([0, 0], 20))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("pooling", "more"),
    [
        (MEAN, {"prompts": {"query": "query : ", "document": "passage : "}}),
        ({"pooling_mode_cls_token": True}, {}),
        ({"pooling_mode_max_tokens": True, "pooling_mode_weightedmean_tokens": True}, {"dense": True}),
        ({"pooling_mode_lasttoken": True}, {"longest": 8}),
        ({"pooling_mode_mean_sqrt_len_tokens": True}, {"dense": True}),
        (MEAN | {"include_prompt": False}, {"prompts": {"query": "find this : ", "document": ""}}),
    ],
)
def test_equals_sentence_transformers(tmp_path, pooling, more):
    peer = pytest.importorskip("sentence_transformers")
    folder = save_sentence_model(tmp_path / "model", pooling, **more)
    theirs, ours = peer.SentenceTransformer(str(folder), device="cpu"), Encoder(folder, "model")
    texts = [text for text in TEXTS if text or "lasttoken" not in str(pooling)]
    assert ours.embed(texts) == pytest.approx(theirs.encode_document(texts, normalize_embeddings=True), abs=1e-6)
    asked = theirs.encode_query(texts, normalize_embeddings=True)
    assert ours.embed(texts, query=True) == pytest.approx(asked, abs=1e-6)
    assert ours.max_tokens == theirs.max_seq_length


def test_property_batch_and_order_do_not_matter(tmp_path):
    encoder = Encoder(save_sentence_model(tmp_path / "model", MEAN), "model")
    chance = np.random.default_rng(0)
    texts = [" ".join(chance.choice(WORDS, chance.integers(1, 15))) for _ in range(40)]
    whole = encoder.embed(texts)
    alone = np.concatenate([encoder.embed([text]) for text in texts])
    assert whole == pytest.approx(alone, abs=1e-6)
    assert encoder.embed(texts[::-1])[::-1] == pytest.approx(whole, abs=1e-6)
    assert np.linalg.norm(whole, axis=1) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("kind", ["bert", "roberta", "llama"])
def test_a_model_of_transformers_gives_the_mean(tmp_path, kind):
    body = save_body(tmp_path / kind, kind)
    encoder = Encoder(body, kind)
    found = encoder.embed(["the cat sat", "word " * 100])
    assert found.shape == (2, 16) and encoder.shortened == 1
    assert encoder.max_tokens == {"roberta": 23}.get(kind, 24)  # its first position is the second
    assert encoder.about == (
        f"{kind} embeds queries as they are and passages as they are; pooling: mean; at most "
        f"{encoder.max_tokens} tokens"
    )


def test_texts_without_a_token_and_with_half_a_character(tmp_path):
    encoder = Encoder(save_sentence_model(tmp_path / "model", MEAN), "model")
    assert np.isfinite(encoder.embed(["", "\ud800 cat"])).all()
    assert encoder.embed([]).shape == (0, 16)


def test_prefixes_of_ones_own_are_told_and_make_another_name(tmp_path):
    folder = save_sentence_model(tmp_path / "model", MEAN, prompts={"query": "query : ", "document": ""})
    own, mine = Encoder(folder, "x/model"), Encoder(folder, "x/model", query_prefix="find : ")
    assert own.about.startswith("x/model embeds queries with prefix 'query : ' and passages as they are (its config")
    assert "'find : ' and passages as they are (your choice)" in mine.about
    assert own.name != mine.name and own.name.startswith("model:") and own.name == Encoder(folder, "model").name
    assert mine.embed(["cat"], query=True) == pytest.approx(own.embed(["find : cat"]), abs=1e-6)


def test_half_precision_is_near(tmp_path):
    folder = save_sentence_model(tmp_path / "model", MEAN)
    half = Encoder(folder, "model", dtype="bfloat16").embed(TEXTS)
    assert half.dtype == np.float32
    assert half == pytest.approx(Encoder(folder, "model").embed(TEXTS), abs=0.05)  # bfloat16 has eight bits


def test_weights_that_are_missing(tmp_path):
    folder = save_sentence_model(tmp_path / "model", MEAN, dense=True)
    (folder / "2_Dense" / "model.safetensors").rename(folder / "2_Dense" / "pytorch_model.bin")
    with pytest.raises(ModelError, match="2_Dense: its weights must be safetensors"):
        Encoder(folder, "model").embed(["cat"])
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="weights must be safetensors; there is none"):
        Encoder(folder, "model").embed(["cat"])
