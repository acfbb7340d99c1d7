"""DyLoRA: every rank is trained, one a step."""

import json

import pytest
import torch
from torch.testing import assert_close

from espalier.contracts import Moment
from espalier.errors import ModelError, RecipeError
from espalier.models.combine import cut_rank
from tests.adapters.kinds import adapter_of, attached, logits, moved, opened, saved, steps, trained


def moment(number=0):
    return Moment(number, 10, torch.Generator().manual_seed(number))


def layer_of(model):
    return model.base_model.model.model.layers[0].mlp.up_proj


def test_formula_a_step_uses_the_first_rows_and_columns_over_their_number():
    model = moved("dylora", alpha=6.0)
    adapter_of("dylora").before_step(model, moment())
    b, layer = model.width.now, layer_of(model)
    down, up = layer.lora_A["default"].weight[:b], layer.lora_B["default"].weight[:, :b]
    x = torch.randn(5, 16)
    assert_close(layer(x), x @ (layer.base_layer.weight + 6 / b * up @ down).T, rtol=1e-5, atol=1e-5)
    adapter_of("dylora").after_backward(model, moment())
    whole = layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    assert_close(layer(x), x @ (layer.base_layer.weight + 6 / 4 * whole).T, rtol=1e-5, atol=1e-5)


def test_a_step_draws_one_rank_from_its_own_chance():
    model, adapter = attached("dylora"), adapter_of("dylora", least=2)
    drawn = []
    for number in [*range(40), 0]:
        adapter.before_step(model, moment(number))
        drawn.append(model.width.now)
    assert set(drawn) == {2, 3, 4} and drawn[0] == drawn[-1]


@pytest.mark.parametrize("frozen", [False, True])
def test_property_gradients_reach_the_rank_drawn_and_none_above(frozen):
    model, adapter = moved("dylora", frozen=frozen), adapter_of("dylora", frozen=frozen)
    adapter.before_step(model, moment(3))
    b = model.width.now
    assert 1 < b < 4
    model(torch.arange(3, 9)[None]).logits.square().sum().backward()
    down, up = (part["default"].weight.grad.abs() for part in (layer_of(model).lora_A, layer_of(model).lora_B))
    rows, columns = (down.sum(1) > 0).tolist(), (up.sum(0) > 0).tolist()
    assert rows == columns == [frozen is False or i == b - 1 for i in range(b)] + [False] * (4 - b)


@pytest.mark.parametrize("rank", [1, 3, 4])
def test_cut_to_a_rank_it_is_what_a_step_of_that_rank_saw(rank, tmp_path):
    model = moved("dylora")
    folder = saved(model, tmp_path / "adapter")
    cut_rank(folder, rank, tmp_path / "cut")
    assert json.loads((tmp_path / "cut" / "adapter_config.json").read_text())["r"] == rank
    model.width.now, model.width.stepping = rank, True
    assert_close(logits(opened(tmp_path / "cut")), logits(model), rtol=1e-5, atol=1e-5)
    with pytest.raises(ModelError, match="exists already"):
        cut_rank(folder, rank, tmp_path / "cut")


def test_a_rank_outside_is_refused(tmp_path):
    folder = saved(moved("dylora"), tmp_path / "adapter")
    with pytest.raises(ModelError, match=r"a rank from 1 to its own \(4\), not 5"):
        cut_rank(folder, 5, tmp_path / "cut")
    with pytest.raises(RecipeError, match="least must be from 1 to rank = 4, not 5"):
        adapter_of("dylora", least=5)


def test_learns_what_is_left_when_it_is_cut(tmp_path):
    """Rank 1 of DyLoRA is better than rank 1 cut out of a LoRA of the same rank."""
    left = {}
    for kind in ("dylora", "lora"):
        model = attached(kind, rank=4)
        steps(kind, model, 40, 1e-2, rank=4)
        folder = saved(model, tmp_path / kind)
        cut_rank(folder, 1, tmp_path / f"{kind}-1")
        one = opened(tmp_path / f"{kind}-1", trainable=True)
        left[kind] = steps("lora", one, 1, 0.0)[0]
    assert left["dylora"] < left["lora"] - 0.1
    assert trained(attached("dylora")).keys() == trained(attached("lora")).keys(), "it is an ordinary LoRA"
