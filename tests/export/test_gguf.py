"""GGUF files: the same weights, token ids and log-probabilities, by our reading and by transformers' own."""

import gguf
import numpy as np
import pytest
import torch
from gguf import GGUFReader
from transformers import AutoModelForCausalLM, AutoTokenizer

from espalier.errors import ModelError, RecipeError
from espalier.export import gguf as target
from espalier.export.conversations import plain_logps
from espalier.export.export import Request, export
from espalier.export.gguf_tensors import Names, rope_factors
from espalier.export.merge import merge
from espalier.export.source import Source
from tests.export.runs import save_adapter, save_model
from tests.models.tiny import tiny
from tests.templates import INST, UNCLOSED
from tests.tokenizers import metaspace_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")
WIDE = {"hidden_size": 32, "intermediate_size": 64, "head_dim": 8, "num_key_value_heads": 2}
GEMMA = WIDE | {
    "sliding_window": 64,
    "query_pre_attn_scalar": 8,
    "head_dim": 8,
    "hidden_activation": "gelu_pytorch_tanh",
}
KINDS = {
    "llama": WIDE | {"attention_bias": True},
    "mistral": WIDE | {"sliding_window": None},
    "qwen2": WIDE | {"tie_word_embeddings": True},
    "qwen3": WIDE | {"head_dim": 16},
    "gemma": WIDE | {"hidden_act": "gelu_pytorch_tanh"},
    "gemma2": GEMMA,
    "gemma3_text": GEMMA | {"num_hidden_layers": 6, "layer_types": ["sliding_attention"] * 5 + ["full_attention"]},
}
THEIRS = ("llama", "mistral", "qwen2", "qwen3")  # whose settings transformers reads from a GGUF file


@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_run_for_every_architecture(kind, tmp_path):
    base = save_model(tmp_path / "base", kind, std=0.05, **KINDS[kind])
    made = export(Request(str(save_adapter(tmp_path / "a", base)), "gguf", tmp_path / "out", "F32"))
    assert made.agreement.worst < 1e-4 and made.agreement.conversations == 3
    assert [name for name, _ in made.files] == ["a-F32.gguf", "README.md"]
    assert not list(tmp_path.glob(".*partial"))


@pytest.mark.parametrize("kind", THEIRS)
def test_equals_transformers_own_reading(kind, tmp_path):
    known = {"attention_bias": False} if kind == "llama" else {"head_dim": 128} if kind == "qwen3" else {}
    base = save_model(tmp_path / "base", kind, std=0.05, **KINDS[kind] | known)  # theirs takes the rest as usual
    adapter = save_adapter(tmp_path / "a", base)
    expected = merge(Source.open(str(adapter)), print)
    export(Request(str(adapter), "gguf", tmp_path / "out", "F32"))
    read = AutoModelForCausalLM.from_pretrained(tmp_path / "out", gguf_file="a-F32.gguf", dtype=torch.float32)
    plain = AutoModelForCausalLM.from_pretrained(base)
    for talk in expected.talks:
        found = plain_logps(read.eval(), talk.ids)
        assert float((found - talk.logps).abs().max()) < 1e-4
        assert float((plain_logps(plain, talk.ids) - talk.logps).abs().max()) > 0.01, "the adapter does nothing"


def test_types_round_as_they_say_and_norms_stay_whole(tmp_path):
    base = save_model(tmp_path / "base", std=0.05, **KINDS["llama"])
    means = []
    for kind in ("F32", "F16", "BF16", "Q8_0"):
        made = export(Request(str(base), "gguf", tmp_path / kind, kind))
        types = {t.name: t.tensor_type.name for t in GGUFReader(tmp_path / kind / f"base-{kind}.gguf").tensors}
        assert types.pop("output_norm.weight") == "F32" and types["blk.0.attn_q.weight"] == kind
        means.append(made.agreement.mean)
    assert means[0] < 1e-5 < means[1] < means[2] and means[1] < means[3]


def test_rotary_pairs_stand_side_by_side_in_llama_and_biases_follow(tmp_path):
    config = tiny("llama", attention_bias=True).config
    names = Names("llama", config)
    rows = torch.arange(16.0)[:, None] * torch.ones(16, 3)  # two key heads of eight rows
    there = names.there("model.layers.0.self_attn.k_proj.weight", rows)
    assert there[:, 0].tolist() == [0, 4, 1, 5, 2, 6, 3, 7, 8, 12, 9, 13, 10, 14, 11, 15]
    assert torch.equal(names.back("model.layers.0.self_attn.k_proj.weight", there), rows)
    assert torch.equal(names.there("model.layers.0.self_attn.k_proj.bias", rows[:, 0]), there[:, 0])
    assert torch.equal(Names("qwen2", config).there("model.layers.0.self_attn.k_proj.weight", rows), rows)
    assert float(Names("gemma", config).there("model.norm.weight", torch.zeros(1))) == 1.0


def test_formula_llama3_factors_stretch_slow_frequencies_by_the_factor():
    rope = {
        "rope_type": "llama3",
        "rope_theta": 10000.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
    }
    model = tiny("llama", head_dim=64, rope_parameters=rope | {"original_max_position_embeddings": 64})
    factors = rope_factors(model).tolist()
    assert (
        factors[0] == pytest.approx(1.0)
        and factors[-1] == pytest.approx(8.0)
        and sorted(factors) == pytest.approx(factors)
    )
    assert rope_factors(tiny("llama")) is None


def test_what_was_tampered_with_is_found_and_nothing_is_kept(tmp_path, monkeypatch):
    base = save_model(tmp_path / "base", **WIDE)
    packed = target.packed

    def wrong(tensor, kind):
        found = packed(tensor, kind)
        return np.zeros_like(found) if found.ndim > 1 else found

    monkeypatch.setattr(target, "packed", wrong)
    with pytest.raises(ModelError, match="reads differently"):
        export(Request(str(base), "gguf", tmp_path / "out"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base"]


def test_a_wrong_order_of_heads_is_found_by_the_log_probabilities(tmp_path, monkeypatch):
    base = save_model(tmp_path / "base", **WIDE)
    monkeypatch.setattr(Names, "back", lambda self, name, tensor: tensor)
    with pytest.raises(ModelError, match=r"the GGUF file does not agree with the run: .* nats per token"):
        export(Request(str(base), "gguf", tmp_path / "out", "F32"))


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("phi3", {}, "Phi3ForCausalLM is not written to GGUF here .*convert_hf_to_gguf.py"),
        (
            "llama",
            {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 1e4}},
            "rope_type = 'dynamic'",
        ),
        ("llama", {"hidden_act": "relu"}, "the activation 'relu'"),
        ("gemma3_text", GEMMA | {"layer_types": ["full_attention"] * 2}, "another order of sliding windows"),
        ("gemma2", GEMMA | {"query_pre_attn_scalar": 5}, "query_pre_attn_scalar = 5"),
    ],
)
def test_what_llama_cpp_computes_otherwise_is_refused_before_anything_is_read(kind, changes, said, tmp_path):
    base = save_model(tmp_path / "base", kind, **changes)
    with pytest.raises(ModelError, match=said):
        export(Request(str(base), "gguf", tmp_path / "out"))


def test_mistrals_window_becomes_the_context(tmp_path):
    base = save_model(tmp_path / "base", "mistral", **WIDE | {"sliding_window": 300})
    made = export(Request(str(base), "gguf", tmp_path / "out", "F32"))
    assert made.notes == ["llama.cpp knows no sliding window here: its context is the 300 tokens that need none."]
    assert GGUFReader(tmp_path / "out" / "base-F32.gguf").get_field("llama.context_length").contents() == 300


def test_where_turns_end_and_texts_begin(tmp_path):
    base = save_model(tmp_path / "base", **WIDE)
    export(Request(str(base), "gguf", tmp_path / "out", "F32"))
    reader, tokenizer = GGUFReader(tmp_path / "out" / "base-F32.gguf"), AutoTokenizer.from_pretrained(base)

    def found(key):
        field = reader.get_field(f"tokenizer.ggml.{key}")
        return field and field.contents()

    assert [found("eot_token_id"), found("eos_token_id")] == tokenizer.convert_tokens_to_ids(["<|im_end|>", "</s>"])
    assert found("add_bos_token") is False and found("add_eos_token") is False
    assert reader.get_field("tokenizer.chat_template").contents() == tokenizer.chat_template
    assert gguf.GGUF_VERSION == 3


@pytest.mark.parametrize(
    ("legacy", "template", "prefix"), [(True, INST, True), (False, INST, False), (False, UNCLOSED, False)]
)
def test_a_space_before_texts_is_written_as_the_conversations_need_it(legacy, template, prefix, tmp_path):
    merges = [("▁", "a"), ("▁", "I"), ("#", "#"), ("▁", "##")]
    tokenizer = metaspace_tokenizer(merges, legacy=legacy, markers=["[INST]", "[/INST]"], template=template)
    base = save_model(tmp_path / "base", tokenizer=tokenizer, **WIDE)
    export(Request(str(base), "gguf", tmp_path / "out", "F32"))
    reader = GGUFReader(tmp_path / "out" / "base-F32.gguf")
    assert reader.get_field("tokenizer.ggml.add_space_prefix").contents() is prefix
    assert reader.get_field("tokenizer.ggml.model").contents() == "llama"


def test_an_unknown_type_and_a_missing_package(tmp_path, monkeypatch):
    base = save_model(tmp_path / "base")
    with pytest.raises(RecipeError, match=r"no GGUF type named 'Q4_K'. Did you mean|Known: BF16"):
        export(Request(str(base), "gguf", tmp_path / "out", "Q4_K"))
    monkeypatch.setitem(__import__("sys").modules, "gguf", None)
    with pytest.raises(RecipeError, match=r"pip install 'espalier-lm\[export\]'"):
        export(Request(str(base), "gguf", tmp_path / "out"))
