"""Prompt tuning: trained embeddings before every row."""

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.models.load import load_model, load_tokenizer
from tests.adapters.kinds import IDS, attached, logits, trained
from tests.models_on_disk import save_model
from tests.train.toys import small


def test_formula_tokens_times_width():
    assert sum(p.numel() for p in trained(attached("prompt", tokens=7)).values()) == 7 * 16


def test_started_at_a_text_it_is_that_text(tmp_path):
    folder = str(save_model(tmp_path / "model"))
    base = load_model(folder, dtype=torch.float32, device="cpu").eval()
    text = load_tokenizer(folder)("be brief, please", add_special_tokens=False)["input_ids"]
    with torch.no_grad():
        expected = base(torch.cat([torch.tensor([text]), IDS], 1)).logits[:, len(text) :]
    model = attached("prompt", base=base, tokens=1, text="be brief, please")
    assert len(trained(model)["prompt_encoder.default.embedding.weight"]) == len(text) > 1
    assert_close(logits(model), expected, rtol=1e-5, atol=1e-5)


def test_a_text_needs_a_tokenizer_and_tokens_at_least_one():
    with pytest.raises(RecipeError, match="text needs a model that was read from a folder"):
        attached("prompt", base=small(), text="be brief")
    with pytest.raises(RecipeError, match="tokens must be at least 1, not 0"):
        attached("prompt", tokens=0)
