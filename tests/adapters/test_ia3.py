"""(IA)^3: keys, values and inner activations are scaled."""

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import RecipeError
from tests.adapters.kinds import attached, moved, trained
from tests.models.tiny import tiny
from tests.train.toys import small


def test_formula_scales_outputs_of_attention_and_inputs_of_the_feed_forward():
    block = moved("ia3", base=small().double()).base_model.model.model.layers[0]
    x = torch.randn(5, 16, dtype=torch.float64)
    layer = block.self_attn.k_proj
    assert_close(layer(x), x @ layer.base_layer.weight.T * layer.ia3_l["default"].T, rtol=1e-12, atol=1e-12)
    layer, x = block.mlp.down_proj, torch.randn(5, 24, dtype=torch.float64)
    assert_close(layer(x), (x * layer.ia3_l["default"]) @ layer.base_layer.weight.T, rtol=1e-12, atol=1e-12)


def test_formula_a_number_per_key_value_and_inner_activation():
    assert sum(p.numel() for p in trained(attached("ia3")).values()) == 2 * (16 + 16 + 24)


@pytest.mark.parametrize("name", ["gpt2", "qwen3", "phi3", "gpt_neox"])
def test_finds_its_layers_in_other_models(name):
    assert trained(attached("ia3", base=tiny(name)))


def test_an_unknown_target_is_named():
    with pytest.raises(RecipeError, match=r"adapters/ia3: no linear layer named 'k_prj'. Did you mean 'k_proj'\?"):
        attached("ia3", targets=("k_prj",))
