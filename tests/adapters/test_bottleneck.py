"""Adapter layers: a bottleneck behind attention and feed-forward."""

import pytest
import torch
from torch.nn.functional import gelu
from torch.testing import assert_close

from espalier.adapters.bottleneck import bottleneck
from espalier.errors import RecipeError
from tests.adapters.kinds import attached, moved, trained
from tests.models.tiny import tiny


def test_formula_a_skip_around_two_layers():
    draw = torch.Generator().manual_seed(0)
    down, up = torch.nn.Linear(6, 2, dtype=torch.float64), torch.nn.Linear(2, 6, dtype=torch.float64)
    h = torch.randn(3, 6, generator=draw, dtype=torch.float64)
    by_hand = h + gelu(h @ down.weight.T + down.bias) @ up.weight.T + up.bias
    assert_close(bottleneck(h, down, up, "gelu"), by_hand, rtol=1e-12, atol=1e-12)


def test_formula_two_bottlenecks_per_layer():
    assert sum(p.numel() for p in trained(attached("bottleneck")).values()) == 2 * 2 * (2 * 16 * 4 + 16 + 4)


@pytest.mark.parametrize("name", ["gpt2", "opt", "gpt_neox", "qwen3", "phi3"])
def test_finds_its_layers_in_other_models(name):
    base = tiny(name)
    expected = base(torch.arange(3, 9)[None]).logits
    model = attached("bottleneck", base=base)
    assert len(trained(model)) == 4 * 2 * 2
    assert_close(model(torch.arange(3, 9)[None]).logits, expected, rtol=1e-6, atol=1e-6)


def test_acts_behind_the_layers_that_are_named():
    model = moved("bottleneck", targets=("down_proj",))
    assert {name.split(".")[4] for name in trained(model)} == {"mlp"}
    with pytest.raises(RecipeError, match=r"no linear layer named 'downproj'. Did you mean 'down_proj'\?"):
        attached("bottleneck", targets=("downproj",))
