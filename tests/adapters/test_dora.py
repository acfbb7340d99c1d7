"""DoRA: length and direction of each output's weights apart."""

import torch
from torch.testing import assert_close

from tests.adapters.kinds import attached, moved, trained
from tests.train.toys import small


def test_formula_direction_times_length():
    layer = moved("dora", base=small().double(), alpha=6.0).base_model.model.model.layers[0].mlp.up_proj
    x = torch.randn(5, layer.in_features, dtype=torch.float64)
    whole = layer.base_layer.weight + 6 / 2 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    length = layer.lora_magnitude_vector["default"].weight
    by_hand = x @ (length[:, None] * whole / whole.norm(dim=1, keepdim=True)).T
    assert_close(layer(x), by_hand, rtol=1e-12, atol=1e-12)


def test_formula_a_number_per_output_more_than_lora():
    count = {kind: sum(p.numel() for p in trained(attached(kind)).values()) for kind in ("dora", "lora")}
    assert count["dora"] - count["lora"] == 2 * (4 * 16 + 2 * 24 + 16)  # 2 layers: q k v o, gate up, down
