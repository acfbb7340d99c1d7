"""Small twins of models."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from espalier.trees.twin import twin_of
from tests.models.tiny import config_of, tiny


def twin(model, max_tokens=None):
    with torch.no_grad():
        return twin_of(model, max_tokens)


def on_paper(name, **changes):
    """A model without weights, so it may be large."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config_of(name, **changes))


def test_a_twin_of_a_large_model_is_small_and_leaves_its_config_alone():
    large = on_paper("qwen3", hidden_size=4096, intermediate_size=12288, num_hidden_layers=36, vocab_size=151_936,
                     num_attention_heads=32, num_key_value_heads=8, head_dim=128)  # fmt: skip
    before = large.config.to_dict()
    small = twin(large.to(torch.bfloat16))
    assert sum(p.numel() for p in small.parameters()) < 200_000
    assert {p.dtype for p in small.parameters()} == {torch.float32} and not small.training
    assert (small.config.num_attention_heads, small.config.num_key_value_heads) == (4, 1)
    assert large.config.to_dict() == before


def test_a_twin_has_every_kind_of_layer_and_windows_and_caps_that_act():
    kinds = ["sliding_attention"] * 3 + ["full_attention"] + ["sliding_attention"] * 4
    large = on_paper("gemma2", num_hidden_layers=8, layer_types=kinds, sliding_window=4096,
                     attn_logit_softcapping=50.0, final_logit_softcapping=30.0)  # fmt: skip
    small = twin(large).config
    assert small.layer_types == kinds[:4] and small.num_hidden_layers == 4
    assert (small.sliding_window, small.attn_logit_softcapping, small.final_logit_softcapping) == (4, 2.0, 4.0)
    assert twin(large, max_tokens=4096).config.sliding_window == 4096
    assert twin(large, max_tokens=4097).config.sliding_window == 4


@pytest.mark.parametrize("name", ["gpt_oss", "gpt2", "olmo2"])
def test_every_weight_of_a_twin_acts(name):
    small = twin(tiny(name))
    ids = torch.arange(3, 12)[None]
    logits = small.requires_grad_()(ids).logits
    logits.square().sum().backward()
    assert all(p.abs().max() > 0 for p in small.parameters())
    assert all(p.grad.abs().max() > 0 for p in small.parameters())


def test_layers_that_reuse_the_keys_of_others_have_others():
    kinds = ["sliding_attention", "full_attention"] * 5
    large = on_paper("gemma3n_text", hidden_size=64, intermediate_size=[96] * 10, num_hidden_layers=10, head_dim=16,
                     num_attention_heads=4, num_key_value_heads=2, layer_types=kinds, num_kv_shared_layers=4,
                     activation_sparsity_pattern=[0.0] * 10, hidden_size_per_layer_input=16, altup_num_inputs=2,
                     vocab_size_per_layer_input=60, laurel_rank=4)  # fmt: skip
    small = twin(large).config
    assert (small.num_hidden_layers, small.num_kv_shared_layers) == (4, 2)
    assert small.layer_types == kinds[:4]


class Stubborn(torch.nn.Module):
    """A model whose class takes no other dimensions than its own."""

    def __init__(self, config):
        super().__init__()
        assert config.hidden_size == 4096 and config.num_hidden_layers == 40
        self.config = config


@pytest.mark.parametrize("max_tokens", [None, 100])
def test_no_twin_of_what_cannot_be_made_small(max_tokens):
    assert twin(Stubborn(config_of("llama", hidden_size=4096, num_hidden_layers=40)), max_tokens) is None
