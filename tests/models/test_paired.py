"""Models that read two texts: batches where padding cannot be told, adapters, and broken weights."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForSequenceClassification

from espalier.candidates import groups_of
from espalier.contracts import Row
from espalier.errors import ModelError
from espalier.models.paired import Paired
from espalier.rerankers.cross_encoder import CrossEncoder
from tests.rerankers.tiny import SIZE, saved

ROWS = [Row(query="rain", document=document) for document in ("a longer passage", "wet", "snow")]


def test_without_a_padding_token_rows_are_read_one_by_one(tmp_path):
    model = LlamaForSequenceClassification(LlamaConfig(**SIZE, num_labels=1))
    encoder = CrossEncoder(saved(model, tmp_path))
    found = encoder.score(ROWS).values
    for row, value in zip(ROWS, found, strict=True):
        batch = encoder.opened.tokenizer(row["query"], row["document"], return_tensors="pt")
        with torch.no_grad():
            assert encoder.opened.model(**batch).logits.item() == pytest.approx(value, abs=1e-5)  # float32


def test_an_adapter_is_refused_with_what_to_do(tmp_path):
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "base"}')
    with pytest.raises(ModelError, match="an adapter; merge it"):
        Paired.open(None, str(tmp_path), whole=True)


def test_a_score_that_is_no_number_is_refused():
    class Broken:
        config = LlamaConfig(**SIZE)
        device = "cpu"

    class Words:
        model_max_length = 64

    paired = Paired(Broken(), Words(), "folder")
    with pytest.raises(ModelError, match="folder: a score is not finite"):
        paired.scores(
            groups_of(ROWS), lambda *_: {"input_ids": [1]}, lambda batch: torch.tensor([torch.nan]), max_tokens=64
        )
