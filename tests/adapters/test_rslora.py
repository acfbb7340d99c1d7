"""rsLoRA: the update is divided by the square root of the rank."""

import torch
from torch.testing import assert_close

from tests.adapters.kinds import moved
from tests.train.toys import small


def test_formula_the_update_is_alpha_over_the_root_of_the_rank():
    layer = moved("rslora", base=small().double(), rank=4, alpha=6.0).base_model.model.model.layers[0].mlp.up_proj
    x = torch.randn(5, layer.in_features, dtype=torch.float64)
    update = layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    assert_close(layer(x), x @ (layer.base_layer.weight + 6 / 2 * update).T, rtol=1e-12, atol=1e-12)
