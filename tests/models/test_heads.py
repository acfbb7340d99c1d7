"""The head as it acts: scaled, capped, adapted."""

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from transformers import LlamaForSequenceClassification, LlamaModel

from espalier.errors import ModelError
from espalier.models.heads import base_of, body_of, head_of, is_scalar, with_scalar_head
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from tests.models.tiny import config_of, tiny
from tests.trees.exact import compare, garden, own_logps

WIDE = torch.float64
# PEFT asks for a property that transformers has renamed
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")
HEADS = {
    "llama": {},
    "gemma2": {},
    "granite": {},
    "cohere": {},
    "hyperclovax": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "logits_scaling": 2.0},
    "recurrent_gemma": {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 1,
                        "intermediate_size": 48, "lru_width": 32, "logits_soft_cap": 2.0},
    "gptj": {},  # a bias
    "phi": {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 48},
}  # fmt: skip


@pytest.mark.parametrize(("name", "config"), HEADS.items(), ids=list(HEADS))
def test_equals_own_logits(name, config):
    whole = tiny(name, **config)
    ids = torch.tensor([[1, 5, 9, 30]])
    with torch.no_grad():
        hidden = body_of(whole)(input_ids=ids).last_hidden_state[0]
        torch.testing.assert_close(head_of(whole).logits(hidden), whole(ids).logits[0], atol=1e-5, rtol=0)


def lora(base, **given):
    """LoRA on every linear layer, the head too, with a B that is not zero."""
    targets = {
        "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj", "lm_head"]
    }
    adapted = get_peft_model(base, LoraConfig(**{"r": 4, "task_type": "CAUSAL_LM", **targets, **given}))
    move(adapted)
    return adapted


def move(adapted):
    """Make an adapter act."""
    with torch.no_grad():
        for name, p in adapted.named_parameters():
            if "lora_" in name or "modules_to_save" in name:
                p.add_(torch.randn(p.shape), alpha=0.2)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"use_rslora": True, "lora_alpha": 3},
        {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["lm_head"]},
        {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["lm_head", "embed_tokens"]},
    ],
)
@pytest.mark.parametrize("layout", ["trees", "rows"])
def test_equals_own_forward_with_an_adapter_on_the_head(given, layout):
    adapted = lora(tiny("llama"), **given).to(WIDE).eval()
    compare(adapted, Engine(adapted, layout=layout, tile=5), garden(), WIDE)


def test_equals_own_forward_with_a_bias_that_lora_trains():
    adapted = lora(tiny("phi", **HEADS["phi"]), target_modules=["lm_head"], lora_bias=True).to(WIDE).eval()
    assert any(name.endswith("lora_B.default.bias") for name, p in adapted.named_parameters() if p.requires_grad)
    compare(adapted, Engine(adapted), garden(), WIDE)


def logps(adapted):
    adapted.double()  # the adapters' own start is drawn at random, and large logits cost float32 its last digits
    with torch.no_grad():
        got, want = Engine(adapted)(Forest.plant(garden()))["logps"], own_logps(adapted, garden())
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)
    return got


@pytest.mark.parametrize("given", [{}, {"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}])
def test_the_head_follows_the_adapter_that_is_active(given):
    adapted = lora(tiny("llama"), **given).eval()
    first = logps(adapted)
    adapted.add_adapter("other", LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    adapted.set_adapter("other")
    other = logps(adapted)
    with adapted.disable_adapter():
        plain = logps(adapted)
    adapted.set_adapter("default")
    assert torch.equal(logps(adapted), first)
    torch.testing.assert_close(plain, logps(tiny("llama")))
    torch.testing.assert_close(other, plain)  # an adapter that does not touch the head, and is still zero
    assert (first - plain).abs().max() > 0.1


def test_equals_own_forward_with_two_adapters_at_once_and_with_them_merged():
    adapted = lora(tiny("llama")).eval()
    adapted.add_adapter("other", LoraConfig(r=2, target_modules=["lm_head"], task_type="CAUSAL_LM"))
    move(adapted)
    adapted.base_model.set_adapter(["default", "other"])
    apart = logps(adapted)
    adapted.merge_adapter()
    torch.testing.assert_close(logps(adapted), apart, atol=1e-4, rtol=0)  # weights of 0.2 are added up in another order


def test_a_frozen_head_under_an_adapter_needs_no_gradient():
    adapted = lora(tiny("llama"), target_modules=["q_proj"])
    assert not head_of(adapted).weight.requires_grad
    assert head_of(adapted).weight is base_of(adapted).lm_head.weight
    assert head_of(lora(tiny("llama"))).weight.requires_grad


@pytest.mark.parametrize(
    "given",
    [
        {"use_dora": True},
        {"lora_dropout": 0.1},
        {"trainable_token_indices": {"lm_head": [3]}, "target_modules": ["q_proj"]},
    ],
)
def test_an_adapter_the_head_cannot_follow_is_refused(given):
    adapted = lora(tiny("llama"), **given).train()
    with pytest.raises(ModelError, match="not supported"):
        head_of(adapted)


def test_lora_dropout_is_no_matter_when_it_does_not_act():
    adapted = lora(tiny("llama"), lora_dropout=0.1).eval()
    assert logps(adapted).shape == own_logps(adapted, garden()).shape


def test_an_adapter_of_another_kind_on_the_head_is_refused():
    config = IA3Config(target_modules=["lm_head"], feedforward_modules=[], task_type="CAUSAL_LM")
    with pytest.raises(ModelError, match="adapter 'default' changes the output head"):
        head_of(get_peft_model(tiny("llama"), config))


def test_a_quantized_head_is_refused():
    whole = tiny("llama")
    whole.lm_head.weight = torch.nn.Parameter(whole.lm_head.weight.to(torch.uint8), requires_grad=False)
    with pytest.raises(ModelError, match="quantized"):
        head_of(whole)


def test_a_model_without_a_head_or_a_body_is_refused():
    for headless in (LlamaModel(config_of("llama")), LlamaForSequenceClassification(config_of("llama"))):
        with pytest.raises(ModelError, match="has no output head"):
            head_of(headless)
    with pytest.raises(ModelError, match="it has no body"):
        body_of(LlamaModel(config_of("llama")))


@pytest.mark.parametrize("name", ["llama", "gpt2", "gpt_neox", "opt", "gemma3_text", "bloom"])
def test_equals_the_scores_of_transformers_own_classes(name):
    whole = tiny(name)
    body = {key: value.clone() for key, value in whole.base_model.state_dict().items()}
    scoring = with_scalar_head(whole, seed=3)
    assert is_scalar(scoring) and not is_scalar(whole)
    forest = Forest.plant(garden())
    layout = "rows" if name == "bloom" else "trees"  # its attention cannot share
    with torch.no_grad():
        found = Engine(scoring, layout=layout)(forest, states="scores")["scores"]
        scoring.config.pad_token_id = None
        for value, path in zip(found, forest.paths, strict=True):
            own = scoring(torch.from_numpy(path.ids).long()[None]).logits[0, 0]
            torch.testing.assert_close(value, own, atol=1e-5, rtol=1e-5)
    for key, value in scoring.base_model.state_dict().items():
        assert torch.equal(value, body[key])


def test_a_new_scalar_head_is_small_and_the_seeds():
    one, same, other = (with_scalar_head(tiny("llama", hidden_size=512), seed=seed).score.weight for seed in (1, 1, 2))
    assert torch.equal(one, same) and not torch.equal(one, other)
    assert one.std().item() == pytest.approx(513**-0.5, rel=0.1)
    assert one.dtype == torch.float32 and one.requires_grad


def test_a_scalar_head_that_cannot_be_is_refused():
    with pytest.raises(ModelError, match="transformers has no reward model for GraniteForCausalLM"):
        with_scalar_head(tiny("granite"), seed=0)
    with pytest.raises(ModelError, match="LlamaForCausalLM has no head that gives a score"):
        Engine(tiny("llama"))(Forest.plant(garden()), states="scores")
