"""VeRA: two vectors per layer around matrices that a seed gives again."""

import json

import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from tests.adapters.kinds import attached, moved, opened, saved, trained
from tests.train.toys import small


def test_formula_scales_the_projections_of_a_frozen_random_product():
    layer = moved("vera", base=small().double()).base_model.model.model.layers[0].mlp.down_proj  # 24 -> 16
    x = torch.randn(5, layer.in_features, dtype=torch.float64)
    d, b = layer.vera_lambda_d["default"], layer.vera_lambda_b["default"]
    down, up = layer.vera_A["default"][:, :24], layer.vera_B["default"][:16]
    by_hand = x @ (layer.base_layer.weight + b[:, None] * (up @ (d[:, None] * down))).T
    assert_close(layer(x), by_hand, rtol=1e-6, atol=1e-6)  # the shared matrices are float32


def test_formula_rank_and_outputs_are_trained_per_layer():
    count = sum(p.numel() for p in trained(attached("vera")).values())
    assert count == 2 * (7 * 8 + 4 * 16 + 2 * 24 + 16)  # 2 layers of 7 with rank 8; outputs of q k v o, gate up, down


def test_the_shared_matrices_come_again_bit_for_bit_and_are_not_saved(tmp_path):
    model = moved("vera", seed=0)
    folder = saved(model, tmp_path / "adapter")
    assert not any("vera_A" in name or "vera_B" in name for name in load_file(folder / "adapter_model.safetensors"))
    again, other = opened(folder), moved("vera", seed=9)
    for name in ("vera_A", "vera_B"):
        first = getattr(model.base_model, name)["default"]
        assert torch.equal(first, getattr(again.base_model, name)["default"])
        assert torch.equal(first, getattr(other.base_model, name)["default"])
    different = attached("vera", projection_seed=1).base_model.vera_A["default"]
    assert not torch.equal(model.base_model.vera_A["default"], different)
    assert json.loads((folder / "adapter_config.json").read_text())["projection_prng_key"] == 0
