"""Cross-encoders: the model's own scores whatever the batch, cut passages, and models without a trained head."""

import json

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel, LlamaConfig, LlamaForCausalLM

from espalier.contracts import Row
from espalier.errors import ModelError, RecipeError
from espalier.models import paired
from espalier.rerankers.cross_encoder import CrossEncoder, relevance
from tests.rerankers.tiny import SIZE, saved

BERT = {**SIZE, "pad_token_id": 257, "max_position_embeddings": 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return saved(BertForSequenceClassification(BertConfig(**BERT, num_labels=1)), tmp_path_factory.mktemp("one"))


def rows(*documents, query="rain"):
    return [Row(query=query, document=document) for document in documents]


def test_formula():
    logits = torch.tensor([[0.0, 2.0]], dtype=torch.float64)
    assert relevance(logits).item() == pytest.approx(-0.126928011042973)  # log(e^2 / (1 + e^2))
    assert relevance(logits[:, 1:]).item() == 2.0


def test_equals_the_model_alone_in_any_batch(folder, monkeypatch):
    monkeypatch.setattr(paired, "TOKENS", 64)
    encoder, documents = CrossEncoder(folder), ["wet", "a much longer passage", "snow", "x"]
    found = encoder.score(rows(*documents)).values
    for document, value in zip(documents, found, strict=True):
        batch = encoder.opened.tokenizer("rain", document, return_tensors="pt")
        with torch.no_grad():
            assert encoder.opened.model(**batch).logits.item() == pytest.approx(value, abs=1e-5)  # float32
    assert len(set(found)) == 4


def test_a_long_passage_is_cut_and_the_query_keeps_half(folder):
    encoder = CrossEncoder(folder)
    one, two = encoder.score(rows("x" * 100, "x" * 200)).values
    assert one == pytest.approx(two, abs=1e-6)
    assert encoder.score(rows("a", "b", query="q" * 500)).values[0] is not None


def test_two_labels_score_by_the_second(tmp_path):
    folder = saved(BertForSequenceClassification(BertConfig(**BERT, num_labels=2)), tmp_path)
    assert all(value < 0 for value in CrossEncoder(folder).score(rows("a", "b")).values)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (lambda: BertModel(BertConfig(**BERT)), "no trained classifier"),
        (lambda: LlamaForCausalLM(LlamaConfig(**SIZE)), "no trained classifier"),
        (lambda: BertForSequenceClassification(BertConfig(**BERT, num_labels=3)), "3 labels"),
    ],
)
def test_a_model_without_a_fitting_head_is_refused(model, sentence, tmp_path):
    with pytest.raises(ModelError, match=sentence):
        CrossEncoder(saved(model(), tmp_path)).score(rows("a"))


def test_a_head_whose_weights_are_missing_is_refused(tmp_path):
    folder = saved(BertModel(BertConfig(**BERT)), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(
        json.dumps(config | {"architectures": ["BertForSequenceClassification"], "num_labels": 1})
    )
    with pytest.raises(ModelError, match=r"weights are missing, classifier"):
        CrossEncoder(folder).score(rows("a"))


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match="no such folder"):
        CrossEncoder(str(tmp_path / "none")).score(rows("a"))
    with pytest.raises(RecipeError, match="at least 16"):
        CrossEncoder(max_tokens=4)
