"""P-tuning: a network makes the virtual tokens, and is not needed afterwards."""

import pytest
from safetensors.torch import load_file

from tests.adapters.kinds import attached, moved, saved, trained


@pytest.mark.parametrize("encoder", ["mlp", "lstm"])
def test_formula_what_is_saved_is_tokens_times_width(encoder, tmp_path):
    model = moved("p_tuning", encoder=encoder)
    held = load_file(saved(model, tmp_path / "adapter") / "adapter_model.safetensors")
    assert {name: tuple(value.shape) for name, value in held.items()} == {"prompt_embeddings": (3, 16)}
    assert any(("lstm" in name) for name in trained(model)) == (encoder == "lstm")


def test_formula_trained_parameters_of_the_network():
    # 3 tokens of 16; two bidirectional LSTM layers of width 8; MLP 16 -> 16 -> 16
    lstm = 2 * 4 * 8 * (16 + 8 + 2) + 2 * 4 * 8 * (16 + 8 + 2)
    assert sum(p.numel() for p in trained(attached("p_tuning")).values()) == 3 * 16 + lstm + 2 * (16 * 16 + 16)
