"""LLaMA Pro: new layers that change nothing at first."""

import json

import pytest
import torch
from torch.testing import assert_close
from transformers import AutoModelForCausalLM

from espalier.adapters.llama_pro import places
from tests.adapters.kinds import attached, logits, moved, saved, trained
from tests.models.tiny import tiny
from tests.train.toys import small


def test_formula_behind_the_last_layer_of_each_group():
    assert places(32, 4) == [3, 7, 11, 15, 19, 23, 27, 31]  # the paper's: 32 become 40
    assert places(6, 4) == [3, 5] and places(2, 4) == [1] and places(3, 1) == [0, 1, 2]


@pytest.mark.parametrize("name", ["gpt2", "opt", "gpt_neox", "qwen3", "gemma3_text", "olmo2", "phi3"])
def test_changes_no_model_at_the_start(name):
    ids = torch.arange(3, 15)[None]
    base = tiny(name)
    expected = base(ids).logits
    assert_close(logits(attached("llama_pro", base=base)), expected, rtol=1e-5, atol=1e-5)


def test_only_the_new_layers_are_trained_and_saved_in_an_ordinary_model(tmp_path):
    model = moved("llama_pro", every=2)
    assert {name.split(".")[3] for name in trained(model)} == {"2"}
    folder = saved(model, tmp_path / "model")
    assert json.loads((folder / "config.json").read_text())["num_hidden_layers"] == 3
    again, base = AutoModelForCausalLM.from_pretrained(folder).eval(), small()
    assert_close(logits(again), logits(model), rtol=1e-6, atol=1e-6)
    for old, new in ((0, 0), (1, 1)):
        for name, p in base.model.layers[old].named_parameters():
            assert torch.equal(p, again.model.layers[new].get_parameter(name))


def test_writes_token_by_token_as_it_reads():
    model = moved("llama_pro", base=tiny("gemma3_text"))
    ids = torch.arange(3, 15)[None]
    base = model.get_base_model()
    with torch.no_grad():
        first = base(ids[:, :8], use_cache=True)
        rest = base(ids[:, 8:], past_key_values=first.past_key_values).logits
    assert_close(rest, logits(model, ids)[:, 8:], rtol=1e-4, atol=1e-4)  # float32, another order of sums
