"""The engine against the model's own unmodified forward, one completion at a time."""

import copy

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from espalier.errors import ModelError
from espalier.trees import attention
from espalier.trees.engine import Engine, using
from espalier.trees.forest import Forest
from espalier.trees.logps import entropy
from espalier.trees.tree import Tree
from tests.models.tiny import config_of, tiny
from tests.trees.exact import (
    assert_same,
    compare,
    computed_in,
    garden,
    gradients,
    model,
    own_logits,
    own_logps,
    path,
    per_token,
)

SHARING = (
    "llama", "qwen2", "qwen3", "mistral", "gemma2", "gemma3_text", "gemma4_text", "gpt_oss", "gpt2", "phi3", "olmo2",
    "granite", "cohere", "opt", "gpt_neox",
)  # fmt: skip
ALONE = ("stablelm", "nemotron", "bloom", "gptj", "lfm2", "mamba")
WIDE = torch.float64


@pytest.mark.parametrize("name", SHARING)
def test_equals_own_forward_in_float64(name):
    compare(model(name, WIDE), Engine(model(name, WIDE), tile=3), garden(), WIDE)


@pytest.mark.parametrize("name", SHARING)
def test_equals_own_forward_in_float32(name):
    compare(model(name), Engine(model(name)), garden(), torch.float32, min_shared=8)


@pytest.mark.parametrize("name", ["llama", "gemma2", "gpt_oss", *ALONE])
def test_equals_own_forward_in_rows(name):
    compare(model(name), Engine(model(name), layout="rows"), garden(), torch.float32)


@pytest.mark.parametrize(
    ("name", "dropped"),
    [
        ("gemma2", {"softcap": None}),
        ("gemma2", {"sliding_window": None}),
        ("mistral", {"sliding_window": None}),
        ("gpt_oss", {"s_aux": None}),
        ("granite", {"scaling": None}),
    ],
)
def test_the_garden_shows_what_an_attention_drops(monkeypatch, name, dropped):
    monkeypatch.setitem(attention.AttentionInterface._global_mapping, attention.NAME, _without(dropped))
    with torch.no_grad():
        off = Engine(model(name))(Forest.plant(garden()))["logps"] - own_logps(model(name), garden())
    assert off.abs().max() > 0.05


def _without(dropped):
    return lambda *args, **given: attention.attend(*args, **{**given, **dropped})


def test_equals_own_forward_with_a_tied_head():
    tied = tiny("llama", tie_word_embeddings=True)
    assert tied.lm_head.weight is tied.model.embed_tokens.weight
    compare(tied, Engine(tied, tile=3), garden(), torch.float32)


def test_equals_own_forward_without_a_gradient():
    frozen = tiny("llama").requires_grad_(False)
    with torch.no_grad():
        logps = Engine(frozen)(Forest.plant(garden()))["logps"]
    torch.testing.assert_close(logps, own_logps(frozen, garden()), atol=1e-5, rtol=0)


@pytest.mark.data
def test_equals_own_forward_of_a_real_model(data_folder):
    real = AutoModelForCausalLM.from_pretrained(data_folder.parent / "models" / "stories260k", dtype=torch.float32)
    compare(real.eval(), Engine(real), garden(), torch.float32)


@pytest.mark.parametrize("layout", ["trees", "rows"])
def test_activation_checkpointing_changes_no_gradient(layout):
    trained = tiny("gemma2").train()  # windows and caps: plain attention in the recomputation would show
    engine, forest = Engine(trained, layout=layout), Forest.plant(garden())
    plain = engine(forest)["logps"]
    expected = gradients(trained, plain)
    trained.activation_checkpointing_enable({"use_reentrant": False})
    kept = engine(forest)["logps"]
    assert torch.equal(plain, kept)
    assert_same(gradients(trained, kept), expected, 1e-6)
    own_logps(trained, garden()[3:]).sum().backward()  # the model's own use of it is left alone


def test_a_neighbor_never_changes_a_result():
    engine = Engine(model("gemma2", WIDE))
    with torch.no_grad(), computed_in(WIDE):
        together = Forest.plant(garden(), min_shared=1)
        whole = engine(together)["logps"].split(np.bincount(together.owner("token")).tolist())
        for tree, logps in zip(garden(), whole, strict=True):
            alone = engine(Forest.plant([tree], min_shared=1))["logps"]
            torch.testing.assert_close(alone, logps, atol=1e-12, rtol=0)


@pytest.mark.parametrize("layout", ["trees", "rows"])
@pytest.mark.parametrize("max_tokens", [1, 40, 90])
def test_pieces_add_up_to_the_same_gradient(layout, max_tokens):
    trained = model("qwen3", WIDE)
    engine, forest = Engine(trained, layout=layout), Forest.plant(garden())
    forest.put("weight", torch.randn(forest.size("token"), dtype=WIDE), level="token")
    pieces = forest.split(max_tokens, shared=layout == "trees", pieces=9)
    assert max_tokens > 40 or len(pieces) == 9
    with computed_in(WIDE):
        whole = gradients(trained, (engine(forest)["logps"] * forest["weight"]).sum())
        parts = sum((engine(piece)["logps"] * piece["weight"]).sum() for piece in pieces)
        assert_same(gradients(trained, parts), whole, 1e-10)


def test_the_order_of_examples_only_orders_the_results():
    engine, trees = Engine(model("llama")), garden()
    order = [3, 0, 6, 5, 1, 4, 2]
    with torch.no_grad():
        forest = Forest.plant(trees)
        by_example = engine(forest)["logps"].split(np.bincount(forest.owner("token")).tolist())
        mixed = engine(Forest.plant([trees[i] for i in order]))["logps"]
    assert torch.equal(mixed, torch.cat([by_example[i] for i in order]))


@pytest.mark.parametrize("layout", ["trees", "rows"])
def test_an_empty_forest_takes_part_in_the_backward_pass(layout):
    trained = model("llama")
    engine = Engine(trained, layout=layout)
    found = engine(Forest.plant([]), functionals={"entropy": entropy, "two": lambda z, y: z[:, :2]})
    assert {name: tuple(values.shape) for name, values in found.items()} == {
        "logps": (0,),
        "entropy": (0,),
        "two": (0, 2),
    }
    zero = gradients(trained, found["logps"])
    assert "model.layers.0.self_attn.q_proj.weight" in zero
    assert not any(gradient.any() for gradient in zero.values())
    for kind in ("last", "before"):
        assert engine(Forest.plant([]), states=kind)["states"].shape == (0, 32)


def test_equals_own_entropy_and_other_functionals():
    trained = model("gemma2", WIDE)  # scale and cap act before the functional sees the logits
    functionals = {"entropy": entropy, "top": lambda logits, targets: logits.softmax(-1).topk(3).values}
    with computed_in(WIDE):
        for name, functional in functionals.items():
            found = Engine(trained, tile=3)(Forest.plant(garden()), functionals=functionals)[name]
            want = per_token(trained, garden(), functional)
            torch.testing.assert_close(found, want, atol=1e-10, rtol=0)
            assert_same(gradients(trained, found), gradients(trained, want), 1e-10)


@pytest.mark.parametrize("layout", ["trees", "rows"])
def test_equals_own_hidden_states(layout):
    read, forest = model("llama"), Forest.plant(garden())
    engine = Engine(read, layout=layout)
    last, before = [], []
    for branch in forest.paths:
        hidden = read(torch.from_numpy(branch.ids).long()[None], output_hidden_states=True).hidden_states[-1][0]
        last.append(hidden[-1])
        before.append(hidden[branch.counted - 1])
    torch.testing.assert_close(engine(forest, states="last")["states"], torch.stack(last), atol=1e-5, rtol=0)
    torch.testing.assert_close(engine(forest, states="before")["states"], torch.cat(before), atol=1e-5, rtol=0)


def test_a_low_precision_of_the_products_costs_little():
    trained, forest = model("llama"), Forest.plant(garden())
    exact, coarse = (Engine(trained, autocast=dtype)(forest)["logps"] for dtype in (None, torch.bfloat16))
    assert coarse.dtype == torch.float32
    # bfloat16 keeps 8 bits: a logit of 8 is rounded by up to 0.03
    assert (exact - coarse).abs().max() < 0.1
    assert (exact - coarse).mean().abs() < 0.01
    assert_same(gradients(trained, coarse), gradients(trained, exact), 0.1)


def test_dropout_is_honored_and_zero_dropout_changes_nothing():
    noisy = tiny("gpt2", attn_pdrop=0.3, resid_pdrop=0.0, embd_pdrop=0.0).train()
    forest = Forest.plant(garden())
    first, second = (Engine(noisy)(forest)["logps"] for _ in range(2))
    assert (first - second).abs().max() > 0.01
    calm = tiny("gpt2", attn_pdrop=0.0, resid_pdrop=0.0, embd_pdrop=0.0).train()
    assert torch.equal(Engine(calm)(forest)["logps"], Engine(calm.eval())(forest)["logps"])


def test_a_model_outside_the_engine_keeps_its_own_attention():
    config = config_of("llama")
    one, other = AutoModelForCausalLM.from_config(config), AutoModelForCausalLM.from_config(config)
    before = config._attn_implementation
    engine = Engine(one)
    assert engine.own_attention == before and one.config is not other.config
    with using(one, attention.NAME):
        assert one.model.layers[0].self_attn.config._attn_implementation == attention.NAME
        assert other.config._attn_implementation == config._attn_implementation == before
        with pytest.raises(ValueError, match="LlamaAttention did not hand on the forest"):
            one(torch.tensor([[1, 5, 6]]))
    one(torch.tensor([[1, 5, 6]]))


def test_a_copy_of_an_engine_answers_alike():
    engine = Engine(tiny("gemma3_text"))
    twin = copy.deepcopy(engine)
    forest = Forest.plant(garden())
    with torch.no_grad():
        assert torch.equal(engine(forest)["logps"], twin(forest)["logps"])


def long_and_short(tokens: int) -> list[Tree]:
    ids = np.random.default_rng(0).integers(3, 60, tokens).tolist()
    return [Tree((path(ids[:9], ids[9:]), path(ids[:9], ids[12:16]))), Tree((path(ids[:4], ids[5:9]),))]


LONGROPE = {
    "rope_type": "longrope",
    "rope_theta": 10_000.0,
    "short_factor": [1.0] * 4,
    "long_factor": [3.0] * 4,
    "original_max_position_embeddings": 24,
    "attention_factor": 1.0,
}


@pytest.mark.parametrize("tokens", [24, 25])
def test_equals_own_forward_when_a_long_row_changes_the_positions_of_all(tokens):
    trees = long_and_short(tokens)
    stretched = tiny("phi3", rope_parameters=LONGROPE, original_max_position_embeddings=24)
    compare(stretched, Engine(stretched), trees, torch.float32)
    own, fixed = (own_logits(m, trees[0].branches[0]) for m in (stretched, tiny("phi3")))
    assert torch.equal(own, fixed) == (tokens == 24)


def test_rows_beyond_a_dynamic_scaling_are_refused():
    dynamic = {"rope_type": "dynamic", "rope_theta": 10_000.0, "factor": 2.0}
    scaled = tiny("llama", rope_parameters=dynamic, max_position_embeddings=24)
    compare(scaled, Engine(scaled), long_and_short(24), torch.float32)
    with pytest.raises(ModelError, match="max_tokens = 24"):
        Engine(scaled)(Forest.plant(long_and_short(25)))
