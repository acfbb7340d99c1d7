"""Intrinsic dimension: all weights move along a projection of a few numbers."""

import pytest
import torch
from torch.testing import assert_close

from espalier.adapters.intrinsic import d90
from espalier.errors import RecipeError
from tests.adapters.kinds import attached, moved, steps, trained
from tests.train.toys import small


def test_formula_as_many_numbers_as_its_dimension():
    for structure in (True, False):
        assert sum(p.numel() for p in trained(attached("intrinsic", structure=structure)).values()) == 40


def test_property_the_move_is_linear_and_scaled_by_layer():
    model = moved("intrinsic")
    layer = model.base_model.model.layers[1].mlp.up_proj
    once = layer.shift().detach()
    with torch.no_grad():
        model.theta.mul_(2)
        assert_close(layer.shift(), 2 * once, rtol=1e-5, atol=1e-7)
        model.scales[1] *= 3
        assert_close(layer.shift(), 6 * once, rtol=1e-5, atol=1e-7)
        other = model.base_model.model.layers[0].mlp.up_proj.shift()
        model.scales[1] = 0
        assert_close(model.base_model.model.layers[0].mlp.up_proj.shift(), other, rtol=0, atol=0)


def test_the_projection_follows_from_its_seed():
    weight = [
        moved("intrinsic", projection_seed=seed).base_model.model.layers[0].mlp.up_proj.shift() for seed in (0, 0, 1)
    ]
    assert torch.equal(weight[0], weight[1]) and not torch.allclose(weight[0], weight[2], atol=1e-4)


def test_learns_more_with_more_dimensions():
    """A sweep as the paper has it: what each dimension reaches."""
    scores = {}
    for dimension in (3, 200):
        losses = steps("intrinsic", attached("intrinsic", dimension=dimension), 20, 5e-2, dimension=dimension)
        scores[dimension] = losses[0] - losses[-1]
    assert scores[200] > 2 * scores[3]
    assert d90(scores, full=scores[200]) == 200


def test_formula_d90_is_the_smallest_dimension_that_is_good_enough():
    assert d90({100: 0.5, 200: 0.45, 400: 0.46, 800: 0.47}, full=0.5) == 100
    assert d90({100: 0.44, 200: 0.45, 400: 0.46}, full=0.5) == 200  # 0.9 * 0.5 = 0.45
    assert d90({100: 0.5}, full=0.8) is None


def test_a_dimension_that_the_layers_use_up_is_refused():
    with pytest.raises(RecipeError, match="dimension must be above 2, of which the layers take one each"):
        attached("intrinsic", base=small(), dimension=2)
