"""Prefix tuning: keys and values that every row attends to."""

import torch
from safetensors.torch import load_file
from torch.testing import assert_close
from transformers import DynamicCache

from tests.adapters.kinds import IDS, attached, logits, moved, saved, trained
from tests.train.toys import small


def test_equals_a_cache_made_by_hand(tmp_path):
    model = moved("prefix")
    held = load_file(saved(model, tmp_path / "adapter") / "adapter_model.safetensors")["prompt_embeddings"]
    parts = held.view(1, 3, 2 * 2, 4, 4).permute(2, 0, 3, 1, 4)  # [layer and key or value, row, head, token, D]
    cache = DynamicCache([(parts[2 * layer], parts[2 * layer + 1]) for layer in range(2)])
    with torch.no_grad():
        by_hand = small()(IDS, past_key_values=cache).logits
    assert_close(logits(model), by_hand, rtol=1e-5, atol=1e-5)


def test_formula_parameters_with_and_without_the_network():
    plain = sum(p.numel() for p in trained(attached("prefix", reparameterize=False)).values())
    assert plain == 3 * 2 * 2 * 16  # tokens, keys and values, layers, width
    reparameterized = sum(p.numel() for p in trained(attached("prefix")).values())
    assert reparameterized == 3 * 16 + 16 * 8 + 8 + 8 * 64 + 64
