"""Token classifiers: where tokens stand in a completion, the same in any batch, what is cut and what is refused."""

import pytest
import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForTokenClassification,
)

from espalier.contracts import Row
from espalier.errors import ModelError
from espalier.models import token_classifier
from espalier.models.token_classifier import TokenClassifier
from tests.rerankers.tiny import SIZE, saved

ROWS = [
    Row(completion=text, passages=["Kastel is old.", {"text": "벨미", "title": "B"}], question="How old?")
    for text in ("Old.", "A much longer completion, é가.", " x")
]


@pytest.fixture(scope="module", params=["bert", "llama"])
def folder(request, tmp_path_factory):
    torch.manual_seed(0)
    place = tmp_path_factory.mktemp(request.param)
    if request.param == "llama":
        return saved(LlamaForTokenClassification(LlamaConfig(**SIZE, num_labels=2, max_position_embeddings=128)), place)
    return saved(BertForTokenClassification(BertConfig(**SIZE, num_labels=2, max_position_embeddings=128)), place)


def test_every_character_of_a_completion_has_its_token(folder):
    classifier = TokenClassifier.open(folder, 128)
    for row in ROWS:
        written = classifier.write(row)
        text, places = row["completion"], [at for at in written.places if at]
        assert [text[start:end] for start, end in dict.fromkeys(places)] == list(text)
        assert len(written.ids) == len(written.places) == len(written.types)
        shown = classifier.tokenizer.decode(written.ids)
        assert "Question: How old?\n[1] Kastel is old.\n[2] B 벨미\nAnswer: " in shown and shown.endswith(text)


def test_equals_the_model_alone_in_any_batch(folder, monkeypatch):
    classifier = TokenClassifier.open(folder, 128)
    together = classifier.tokens(ROWS)
    monkeypatch.setattr(token_classifier, "TOKENS", 1)
    for row, found in zip(ROWS, together, strict=True):
        [alone] = classifier.tokens([row])
        assert [at[:2] for at in alone] == [at[:2] for at in found]
        for one, other in zip(alone, found, strict=True):
            assert one[2] == pytest.approx(other[2], abs=1e-5)  # float32
    assert classifier.tokens([]) == []


def test_passages_are_cut_and_a_long_completion_is_not_read(folder):
    classifier = TokenClassifier.open(folder, 1000)  # more than the model has
    long = Row(completion="Old.", passages=["x" * 500])
    written = classifier.write(long)
    assert len(written.ids) == 128 and [at for at in written.places if at] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert classifier.tokens([Row(completion="x" * 80, passages=["y"])]) == [None]


@pytest.mark.parametrize(
    "model",
    [
        lambda: LlamaForCausalLM(LlamaConfig(**SIZE)),
        lambda: BertForSequenceClassification(BertConfig(**SIZE, num_labels=2)),
        lambda: BertForTokenClassification(BertConfig(**SIZE, num_labels=9)),
    ],
)
def test_other_models_are_refused(model, tmp_path):
    with pytest.raises(ModelError, match=r"a \w+For\w+, not a token classification model of two labels"):
        TokenClassifier.open(saved(model(), tmp_path), 128)
