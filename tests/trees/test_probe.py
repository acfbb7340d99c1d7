"""Choosing a layout: what can share is found to, what cannot is found out."""

import logging
import time

import pytest
import torch
from peft import CartridgeConfig, LoraConfig, get_peft_model
from transformers import LlamaForSequenceClassification, LlamaModel

from espalier.errors import ModelError
from espalier.models import heads
from espalier.trees import attention, probe
from espalier.trees.probe import choose_layout
from tests.models.tiny import config_of, tiny
from tests.trees.exact import model
from tests.trees.test_engine import ALONE, SHARING

# PEFT asks for a property that transformers has renamed
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")


def attend_with(monkeypatch, change):
    """Replace the attention of the trees by one that changes what it is given."""
    registered = attention.AttentionInterface._global_mapping
    monkeypatch.setitem(registered, attention.NAME, lambda *args, **given: attention.attend(*change(args), **given))


def without(monkeypatch, **dropped):
    registered = attention.AttentionInterface._global_mapping
    monkeypatch.setitem(
        registered, attention.NAME, lambda *args, **given: attention.attend(*args, **{**given, **dropped})
    )


@pytest.mark.parametrize("name", SHARING)
def test_models_that_can_share_do(name, caplog):
    assert choose_layout(model(name)).layout == "trees"
    assert not caplog.records


@pytest.mark.parametrize("name", ALONE)
def test_models_that_cannot_share_are_served_by_rows(name, caplog):
    with caplog.at_level(logging.WARNING, "espalier"):
        verdict = choose_layout(model(name))
    assert verdict.layout == "rows"
    (line,) = [record.getMessage() for record in caplog.records if record.name.startswith("espalier")]
    assert line.startswith(f"{type(model(name)).__name__} cannot share prompts between completions (")
    assert line.endswith("on the probe's rows 1.6 times the tokens.")


@pytest.mark.parametrize("name", ["llama", "stablelm"])
def test_models_of_low_precision_are_told_apart_too(name):
    assert choose_layout(tiny(name).bfloat16()).layout == ("trees" if name == "llama" else "rows")


@pytest.mark.parametrize(
    ("name", "config", "dropped"),
    [
        ("gemma2", {"sliding_window": 4096, "attn_logit_softcapping": 50.0}, {"softcap": None}),
        ("gemma2", {"sliding_window": 4096, "attn_logit_softcapping": 50.0}, {"sliding_window": None}),
        ("mistral", {"sliding_window": 4096}, {"sliding_window": None}),
        ("gpt_oss", {}, {"s_aux": None}),
    ],
)
def test_what_short_rows_cannot_show_is_found(monkeypatch, name, config, dropped):
    whole = tiny(name, **config)
    without(monkeypatch, **dropped)
    assert choose_layout(whole).layout == "rows"
    if "sliding_window" in dropped:
        assert choose_layout(whole, max_tokens=4096).layout == "trees", "no row is long enough for the window to matter"


def test_a_wrong_gradient_is_found(monkeypatch):
    attend_with(monkeypatch, lambda args: (*args[:2], args[2].detach(), *args[3:]))
    verdict = choose_layout(model("llama"))
    assert verdict.layout == "rows" and "gradients differ" in verdict.reason


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_wrong_head_is_an_error(monkeypatch, dtype):
    monkeypatch.setattr(heads, "_scale", lambda config: 1.0)
    with pytest.raises(ModelError, match="GraniteForCausalLM is not supported: its log-probabilities"):
        choose_layout(tiny("granite").to(dtype))


def lora(base, **given):
    return get_peft_model(base, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM", **given))


def test_an_adapter_that_changes_nothing_yet_is_seen(monkeypatch):
    adapted = lora(tiny("llama"), modules_to_save=["lm_head"])
    assert choose_layout(adapted).layout == "trees"
    monkeypatch.setattr(heads, "_effective", lambda layer: (layer.original_module.weight, None))
    with pytest.raises(ModelError, match="log-probabilities cannot be reproduced"):
        choose_layout(adapted)


@pytest.mark.parametrize("adapted", [False, True])
def test_the_model_is_left_as_it_was(adapted):
    whole = lora(tiny("gemma2")) if adapted else tiny("stablelm")
    whole.train()
    next(whole.modules()).training = False
    torch.set_float32_matmul_precision("high")
    weights = {name: p.detach().clone() for name, p in whole.named_parameters()}
    trained = {name for name, p in whole.named_parameters() if p.requires_grad}
    modes = [module.training for module in whole.modules()]
    config, state = heads.base_of(whole).config.to_dict(), torch.get_rng_state()
    with torch.no_grad():
        choose_layout(whole)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.get_float32_matmul_precision() == "high"
    torch.set_float32_matmul_precision("highest")
    assert heads.base_of(whole).config.to_dict() == config
    assert [module.training for module in whole.modules()] == modes
    assert {name for name, p in whole.named_parameters() if p.requires_grad} == trained
    assert all(torch.equal(p, weights[name]) and p.grad is None for name, p in whole.named_parameters())
    assert not heads.base_of(whole).get_input_embeddings()._forward_hooks


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: tiny("t5"), "T5ForConditionalGeneration is no causal language model"),
        (lambda: tiny("bert"), "BertForMaskedLM is no causal language model: what it predicts depends on what follows"),
        (lambda: LlamaModel(config_of("llama")), "LlamaModel is no causal language model"),
        (lambda: LlamaForSequenceClassification(config_of("llama")), "is no causal language model"),
        (
            lambda: get_peft_model(tiny("llama"), CartridgeConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")),
            "of virtual tokens prompt, prefix and P-tuning are",
        ),
    ],
)
def test_what_is_no_causal_language_model_is_refused(make, sentence):
    with pytest.raises(ModelError, match=sentence):
        choose_layout(make())


def test_rows_that_a_dynamic_scaling_would_couple_are_refused():
    dynamic = {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 2.0}
    scaled = tiny("llama", rope_parameters=dynamic, max_position_embeddings=24)
    assert choose_layout(scaled, max_tokens=24).layout == "trees"
    with pytest.raises(ModelError, match="Set max_tokens = 24"):
        choose_layout(scaled, max_tokens=25)


def test_what_cannot_be_tried_in_small_is_not_trusted(monkeypatch):
    monkeypatch.setattr(probe, "twin_of", lambda model, max_tokens: None)
    assert choose_layout(model("llama")).layout == "trees"
    for unsure in (model("mistral"), tiny("llama").bfloat16()):
        verdict = choose_layout(unsure)
        assert verdict.layout == "rows" and "no small model of its class" in verdict.reason


def test_a_model_whose_own_forward_fails_is_an_error():
    broken = tiny("llama")
    broken.model.layers[1].mlp.down_proj = torch.nn.Linear(3, 3)
    with pytest.raises(ModelError, match="LlamaForCausalLM: its own forward fails"):
        choose_layout(broken)


@pytest.mark.slow
def test_a_model_of_135_million_is_chosen_for_in_seconds():
    shape = {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9}
    large = tiny("llama", **shape, num_key_value_heads=3, vocab_size=49_152, tie_word_embeddings=True)
    begun = time.process_time()
    assert choose_layout(large).layout == "trees"
    assert time.process_time() - begun < 4  # 1.8 s of one idle core
