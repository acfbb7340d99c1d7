"""LoRA through PEFT: the base model at the start, merged without loss, readable by PEFT alone."""

import pytest
import torch
from peft import PeftModel
from torch.testing import assert_close

from espalier.adapters.lora import LoRA
from espalier.errors import RecipeError
from espalier.objectives.sft import SFT
from espalier.train.step import optimize
from tests.train.toys import lora, models_of, prepared, single, small

IDS = torch.arange(3, 15)[None]
LINEAR = {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_at_the_start_the_output_is_that_of_the_base():
    base = small()
    expected = base(IDS).logits
    assert_close(LoRA().attach(base)(IDS).logits, expected, rtol=0, atol=0)


def test_formula_every_linear_layer_but_the_head_has_rank_times_its_sides():
    base = small()
    layers = {name: layer for name, layer in base.named_modules() if isinstance(layer, torch.nn.Linear)}
    expected = sum(3 * (layer.in_features + layer.out_features) for name, layer in layers.items() if name != "lm_head")
    model = LoRA(rank=3).attach(base)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert sum(p.numel() for p in trained.values()) == expected
    assert {name.split(".lora_")[0].rpartition(".")[2] for name in trained} == LINEAR
    assert all(p.dtype == torch.float32 for p in trained.values())


def test_formula_the_update_is_alpha_over_rank_times_b_a():
    model = lora(small(), rank=2)  # alpha 32
    layer = model.base_model.model.model.layers[0].mlp.up_proj
    x = torch.randn(5, layer.in_features)
    by_hand = x @ (layer.base_layer.weight + 32 / 2 * layer.lora_B["default"].weight @ layer.lora_A["default"].weight).T
    assert_close(layer(x), by_hand, rtol=1e-5, atol=1e-5)


def test_merged_is_unmerged():
    model = lora(small())
    expected = model(IDS).logits
    assert not torch.allclose(small()(IDS).logits, expected, atol=1e-2)
    assert_close(model.merge_and_unload()(IDS).logits, expected, rtol=1e-4, atol=1e-4)  # float32, added once or twice


def test_only_the_adapter_moves():
    model = lora(small())
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    models = models_of(SFT(), model)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.1)
    optimize(SFT(), models, prepared(SFT(), models, [single(0), single(1)]), optimizer)
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved == {name for name in before if "lora_" in name}


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")  # PEFT asks for it
def test_what_is_saved_is_loaded_by_peft_alone(tmp_path):
    model = lora(small())
    model.save_pretrained(tmp_path)
    assert_close(PeftModel.from_pretrained(small(), tmp_path)(IDS).logits, model(IDS).logits, rtol=0, atol=0)


def test_targets_can_be_named():
    model = LoRA(targets=("q_proj",)).attach(small())
    assert all("q_proj" in name for name, p in model.named_parameters() if p.requires_grad)


def test_a_rank_below_one_is_refused():
    with pytest.raises(RecipeError, match="rank must be at least 1, not 0"):
        LoRA(rank=0)
