"""Several adapters over one base: switched, added up, and refused where they do not belong together."""

import json

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import ModelError
from espalier.models.combine import add, open_adapters, save, switch
from tests.adapters.kinds import logits, moved, opened, saved
from tests.train.toys import small

# PEFT asks for a property that transformers has renamed
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")


@pytest.fixture
def folders(tmp_path):
    return {name: saved(moved("lora", seed), tmp_path / name) for name, seed in (("one", 0), ("two", 5))}


def update(model, name):
    """s B A of one layer."""
    layer = model.base_model.model.model.layers[0].mlp.up_proj
    return layer.scaling[name] * layer.lora_B[name].weight @ layer.lora_A[name].weight


def test_formula_a_weighted_sum_of_updates(folders):
    model = open_adapters(small(), folders)
    add(model, "both", {"one": 1.0, "two": -0.5})
    by_hand = update(model, "one") - 0.5 * update(model, "two")
    assert_close(update(model, "both"), by_hand, rtol=1e-4, atol=1e-5)
    add(model, "low", {"one": 1.0, "two": -0.5}, rank=2)
    u, s, v = torch.linalg.svd(by_hand)
    assert_close(update(model, "low"), u[:, :2] * s[:2] @ v[:2], rtol=1e-3, atol=1e-4)


def test_a_sum_is_saved_as_an_adapter_like_any_other(folders, tmp_path):
    model = open_adapters(small(), folders).eval()
    add(model, "both", {"one": 0.5, "two": 0.5})
    switch(model, "both")
    save(model, "both", tmp_path / "sum")
    assert_close(logits(opened(tmp_path / "sum")), logits(model), rtol=1e-5, atol=1e-5)
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(ModelError, match="exists already"):
        save(model, "both", tmp_path / "sum")


def test_none_is_the_base(folders):
    model = open_adapters(small(), folders).eval()
    acting = logits(model)
    switch(model, None)
    assert_close(logits(model), logits(small()), rtol=0, atol=0)
    switch(model, "one")
    assert_close(logits(model), acting, rtol=0, atol=0)


def test_what_does_not_exist_or_belong_together_is_named(folders, tmp_path):
    model = open_adapters(small(), folders)
    with pytest.raises(ModelError, match=r"no adapter named 'tow'. Did you mean 'two'\?"):
        switch(model, "tow")
    with pytest.raises(ModelError, match="no adapter named 'three'"):
        add(model, "both", {"one": 1.0, "three": 1.0})
    with pytest.raises(ModelError, match="no adapter here"):
        open_adapters(small(), {"none": tmp_path / "nothing"})
    other = saved(moved("ia3"), tmp_path / "ia3")
    with pytest.raises(ModelError, match="adapters of one kind can be used together, and one is of LORA, ia3 of IA3"):
        open_adapters(small(), {"one": folders["one"], "ia3": other})
    with pytest.raises(ModelError, match="only adapters of LoRA's kind can be added up, not IA3"):
        add(open_adapters(small(), {"ia3": other}), "both", {"ia3": 2.0})
    config = folders["two"] / "adapter_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"base_model_name_or_path": "elsewhere"}))
    with pytest.raises(ModelError, match="of one base can be used together, and one is of tiny, two of elsewhere"):
        open_adapters(small(), folders)
