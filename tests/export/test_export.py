"""Exports of runs and adapters: what plain transformers and PEFT read is the run; what is not, is not kept."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from espalier import tuning
from espalier.errors import ModelError, RecipeError, RunError
from espalier.export import export as exporting
from espalier.export import hf
from espalier.export.conversations import CONVERSATIONS, LIMITS, plain_logps
from espalier.export.export import Request, export
from espalier.export.merge import merge
from espalier.export.source import Source
from espalier.handover import handover
from espalier.models.heads import with_scalar_head
from espalier.render import Renderer
from tests import running
from tests.evaluation.runs import write_run
from tests.export.runs import byte_level, save_adapter, save_method, save_model
from tests.models_on_disk import recipe_of
from tests.templates import CHATML, THINKER

quick = running.quick
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*gradient_checkpointing. is deprecated:FutureWarning", "ignore:Model has `tie_word_embeddings=True`"
)
HIGH = {"learning_rate": 1e-2, "schedule": "constant", "max_steps": 3}
MULTI = CONVERSATIONS["several turns with a system message"]


@pytest.fixture
def base(tmp_path):
    return save_model(tmp_path / "base")


@pytest.fixture
def adapter(tmp_path, base):
    return save_adapter(tmp_path / "mine", base)


def left(folder):
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.parametrize("how", ["lora", None])
def test_equals_the_run(how, quick):
    run = tuning.train(recipe_of(quick, adapter=how, **HIGH))
    made = export(Request(str(run.folder), "hf"))
    assert made.folder == quick / "run-hf" and made.agreement.worst < 1e-4 and made.agreement.conversations == 3
    loaded = merge(Source.open(str(run.folder)), print)
    read = AutoModelForCausalLM.from_pretrained(made.folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(made.folder)
    for talk in loaded.talks:
        ids = tokenizer.apply_chat_template(talk.asked, add_generation_prompt=True, return_dict=False)
        assert ids == talk.prompt == loaded.source.renderer.prompt(talk.asked).tolist()
        assert float((plain_logps(read, talk.ids) - talk.logps).abs().max()) < 1e-4
    plain = AutoModelForCausalLM.from_pretrained(quick / "model")
    assert float((plain_logps(plain, talk.ids) - talk.logps).abs().max()) > 0.01, "nothing was trained"
    assert read.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids(["<|im_end|>", "</s>"])
    assert read.generation_config.pad_token_id not in read.generation_config.eos_token_id
    card = (made.folder / "README.md").read_text()
    assert "24 rows read" in card and 'method = "objectives/sft"' in card and "the token ids of" in card
    assert str(quick) not in card, "a path of this machine"


def test_an_adapter_reads_in_plain_peft_and_names_its_base(adapter, base, tmp_path):
    made = export(Request(str(adapter), "peft", tmp_path / "out"))
    config = json.loads((made.folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base.resolve())
    expected = merge(Source.open(str(adapter)), print)
    read = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), made.folder).eval()
    for talk in expected.talks:
        assert float((plain_logps(read, talk.ids) - talk.logps).abs().max()) < 1e-4
    assert AutoTokenizer.from_pretrained(made.folder).chat_template == CHATML
    assert (made.folder / "generation_config.json").exists()
    card = (made.folder / "README.md").read_text()
    assert "base: base" in card and str(tmp_path) not in card and 'library_name: "peft"' in card


@pytest.mark.parametrize(
    "options",
    [
        {"use_dora": True},
        {"use_rslora": True},
        {"target_modules": ["q_proj", "lm_head"]},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"modules_to_save": ["lm_head"]},
        {"rank_pattern": {"q_proj": 2}},
    ],
    ids=str,
)
@pytest.mark.parametrize("tied", [True, False])
def test_property_every_lora_merges_also_into_tied_weights(options, tied, tmp_path):
    base = save_model(tmp_path / "base", tie_word_embeddings=tied)
    made = export(Request(str(save_adapter(tmp_path / "a", base, **options)), "hf", tmp_path / "out"))
    assert made.agreement.worst < 1e-3
    touched = bool(
        {"lm_head", "embed_tokens"} & {*options.get("target_modules", ()), *options.get("modules_to_save", ())}
    )
    assert AutoModelForCausalLM.from_pretrained(made.folder).config.tie_word_embeddings == (tied and not touched)


def test_the_base_is_kept_and_the_weights_are_those_of_the_sum(adapter, base, tmp_path):
    before = load_file(base / "model.safetensors")
    export(Request(str(adapter), "hf", tmp_path / "out"))
    assert all(torch.equal(value, before[name]) for name, value in load_file(base / "model.safetensors").items())
    update, name = load_file(adapter / "adapter_model.safetensors"), "model.layers.0.self_attn.q_proj"
    a, b = (update[f"base_model.model.{name}.lora_{part}.weight"] for part in "AB")
    merged = load_file(tmp_path / "out" / "model.safetensors")[f"{name}.weight"]
    torch.testing.assert_close(merged, before[f"{name}.weight"] + 2 * b @ a, rtol=0, atol=1e-6)


def test_weights_are_rounded_only_as_far_as_they_agree(adapter, tmp_path, monkeypatch):
    half = export(Request(str(adapter), "hf", tmp_path / "half", dtype="bfloat16"))
    assert 1e-5 < half.agreement.mean < 0.05
    assert AutoModelForCausalLM.from_pretrained(half.folder).dtype == torch.bfloat16
    monkeypatch.setitem(LIMITS, "bfloat16", half.agreement.mean / 2)
    with pytest.raises(
        ModelError, match=r"does not agree with the run: .* rounding to bfloat16 explains.*--dtype float32"
    ):
        export(Request(str(adapter), "hf", tmp_path / "out", dtype="bfloat16"))
    assert left(tmp_path) == ["base", "half", "mine"]


@pytest.mark.parametrize(
    ("tokenizer", "template", "thinking"),
    [
        (lambda: byte_level(THINKER), None, "off"),
        (lambda: byte_level(THINKER), None, "on"),
        (lambda: byte_level(None), None, "off"),
        (
            lambda: byte_level(CHATML),
            "{%- for m in messages -%}{{ m.role + ': ' + m.content + eos_token }}{%- endfor -%}",
            "off",
        ),
    ],
    ids=["thinking off", "thinking on", "no template", "a template of the recipe"],
)
def test_equals_the_ids_of_training_without_our_switches(tokenizer, template, thinking, tmp_path):
    base, run = save_model(tmp_path / "base", tokenizer=tokenizer()), write_run(tmp_path / "run")
    save_adapter(run / "adapter", base)
    rendering = f"\n[render]\nthinking = '{thinking}'\n" + (f"template = {json.dumps(template)}\n" if template else "")
    (run / "recipe.toml").write_text((run / "recipe.toml").read_text() + rendering)
    made = export(Request(str(run), "hf"))
    expected = Renderer(AutoTokenizer.from_pretrained(base), template=template, thinking=thinking)
    read = AutoTokenizer.from_pretrained(made.folder)
    ids = read.apply_chat_template(MULTI[:-1], add_generation_prompt=True, return_dict=False)
    assert ids == expected.prompt(MULTI[:-1]).tolist()


def test_sampling_settings_that_contradict_each_other_do_not_stop_it(adapter, base, tmp_path):
    settings = json.loads((base / "generation_config.json").read_text()) | {"temperature": 0.6, "do_sample": False}
    (base / "generation_config.json").write_text(json.dumps(settings))
    made = export(Request(str(adapter), "hf", tmp_path / "out"))
    found = json.loads((made.folder / "generation_config.json").read_text())
    assert found["temperature"] == 0.6 and found["do_sample"] is True and len(found["eos_token_id"]) == 2
    assert "_from_model_config" not in found or found["_from_model_config"] is False


def test_a_reward_model_keeps_its_scores(base, tmp_path):
    plain = with_scalar_head(AutoModelForCausalLM.from_pretrained(base), seed=0)
    folder = str(tmp_path / "scores")
    handover(
        plain, dict(plain.named_parameters()), Renderer(AutoTokenizer.from_pretrained(base)), Path(folder), base=""
    )
    made = export(Request(folder, "hf", tmp_path / "hf"))
    assert "scores differ by 0 on average" in made.agreement.sentence()
    model = AutoModelForSequenceClassification.from_pretrained(made.folder)
    assert model.config.num_labels == 1 and "text-classification" in (made.folder / "README.md").read_text()
    serve = export(Request(folder, "vllm", tmp_path / "vllm")).use
    assert serve[0].startswith(f"vllm serve {tmp_path}/vllm") and "--runner pooling" in serve[0]
    for to in ("gguf", "ollama", "peft"):
        with pytest.raises(ModelError, match=r"a reward model gives scores and writes no text.*--to hf"):
            export(Request(folder, to, tmp_path / "out"))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"to": "gguff"}, "no target named 'gguff'. Did you mean 'gguf'"),
        ({"to": "hub:alone"}, "names no repository. Write hub:ORG/NAME"),
        ({"to": "hub:../.."}, "names no repository"),
        ({"to": "hf", "kind": "Q8_0"}, "--type is for gguf and ollama"),
        ({"to": "gguf", "dtype": "float16"}, "--dtype is for hf, vllm and hub"),
        ({"to": "hf", "dtype": "int8"}, "no dtype named 'int8'"),
        ({"to": "hf", "raw": True}, "--raw leaves the template out"),
    ],
    ids=str,
)
def test_what_does_not_fit_together_is_refused(request_, said, base):
    with pytest.raises(RecipeError, match=said):
        export(Request(str(base), **request_))


def test_what_cannot_be_merged_says_so(base, adapter, tmp_path):
    virtual = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)
    )
    virtual.save_pretrained(tmp_path / "virtual")
    with pytest.raises(ModelError, match=r"prompt tuning adapter puts virtual tokens .* --to peft"):
        export(Request(str(tmp_path / "virtual"), "hf", tmp_path / "out"))
    with pytest.raises(ModelError, match=r"there is no adapter.* --to hf"):
        export(Request(str(base), "peft", tmp_path / "out"))
    quantized = json.loads((base / "config.json").read_text()) | {
        "quantization_config": {"quant_method": "bitsandbytes"}
    }
    (base / "config.json").write_text(json.dumps(quantized))
    with pytest.raises(ModelError, match="its weights are quantized, and merging would round them a second time"):
        export(Request(str(adapter), "hf", tmp_path / "out"))
    shutil.rmtree(base)
    with pytest.raises(ModelError, match="there is no folder of that name"):
        export(Request(str(adapter), "hf", tmp_path / "out"))


def test_an_adapter_for_another_base_is_refused(adapter, base, tmp_path):
    save_model(tmp_path / "other", hidden_size=24, head_dim=8)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(
        json.dumps(config | {"base_model_name_or_path": str(tmp_path / "other")})
    )
    with pytest.raises(ModelError, match="this adapter does not fit the model: it was made for"):
        export(Request(str(adapter), "hf", tmp_path / "out"))


def test_room_is_looked_for_before_anything_is_read(adapter, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10_000_000))
    monkeypatch.setattr(exporting, "merge", lambda *_: pytest.fail("the weights were read"))
    with pytest.raises(RunError, match=r"the export needs 67.\d MB and .* has 10.0 MB free"):
        export(Request(str(adapter), "gguf", tmp_path / "out"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_an_export_that_ends_early_leaves_nothing(error, adapter, tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise error

    monkeypatch.setattr(hf, "_same_weights", stopped)
    with pytest.raises(KeyboardInterrupt if error is KeyboardInterrupt else RunError):
        export(Request(str(adapter), "hf", tmp_path / "out"))
    assert left(tmp_path) == ["base", "mine"]


def test_a_damaged_file_is_found_and_not_kept(adapter, tmp_path, monkeypatch):
    load = hf.load_weights

    def damaged(kind, target, **options):
        file = Path(target) / "model.safetensors"
        weights = load_file(file)
        weights["model.layers.0.mlp.up_proj.weight"][0, 0] += 1e-4
        save_file(weights, file, metadata={"format": "pt"})
        return load(kind, target, **options)

    monkeypatch.setattr(hf, "load_weights", damaged)
    with pytest.raises(ModelError, match=r"does not hold what was written: model.layers.0.mlp.up_proj.weight"):
        export(Request(str(adapter), "hf", tmp_path / "out"))
    assert left(tmp_path) == ["base", "mine"]


def test_a_tokenizer_that_renders_otherwise_is_found(adapter, tmp_path, monkeypatch):
    monkeypatch.setattr(hf, "chat_ids", lambda tokenizer, messages: [1, 2, 3])
    with pytest.raises(
        ModelError, match=r"does not render a conversation \(single turn\) as the training did: 3 tokens"
    ):
        export(Request(str(adapter), "hf", tmp_path / "out"))
    assert left(tmp_path) == ["base", "mine"]


def test_a_folder_that_is_there_stays(adapter, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "precious").touch()
    with pytest.raises(RunError, match=r"is there already\. Remove it, or give another folder"):
        export(Request(str(adapter), "hf", tmp_path / "out"))
    with pytest.raises(RunError, match="there is no folder"):
        export(Request(str(adapter), "hf", tmp_path / "nowhere" / "out"))
    assert left(tmp_path / "out") == ["precious"]


def test_ollama_end_to_end_and_raw(adapter, tmp_path):
    made = export(Request(str(adapter), "ollama", tmp_path / "out"))
    assert sorted(name for name, _ in made.files) == ["Modelfile", "README.md", "mine-F16.gguf"]
    assert made.use == [f"ollama create mine -f {tmp_path}/out/Modelfile", "ollama run mine"]
    text = (made.folder / "Modelfile").read_text()
    assert 'PARAMETER stop "<|im_end|>"\nPARAMETER stop "</s>"\nPARAMETER num_ctx 512' in text and ".Messages" in text
    raw = export(Request(str(adapter), "ollama", tmp_path / "raw", raw=True))
    assert (
        'TEMPLATE """{{ .Prompt }}"""' in (raw.folder / "Modelfile").read_text()
        and "write whole prompts" in raw.notes[0]
    )


@pytest.mark.parametrize("kind", ["adalora", "vera", "ia3", "dylora", "llama_pro", "intrinsic"])
def test_every_adapter_that_can_be_merged_is(kind, base, tmp_path):
    made = export(Request(str(save_method(tmp_path / "a", base, kind)), "hf", tmp_path / "out"))
    assert made.agreement.conversations == 3 and made.agreement.worst < 1e-3


@pytest.mark.parametrize(
    ("kind", "said"), [("prefix", "virtual tokens .* --to peft"), ("bottleneck", "cannot be merged")]
)
def test_what_is_no_change_of_weights_is_not(kind, said, base, tmp_path):
    adapter = save_method(tmp_path / "a", base, kind)
    with pytest.raises(ModelError, match=said):
        export(Request(str(adapter), "hf", tmp_path / "out"))
    if kind == "prefix":
        assert export(Request(str(adapter), "peft", tmp_path / "out")).agreement.worst < 1e-3
    else:
        with pytest.raises(ModelError, match="PEFT knows no adapters/bottleneck"):
            export(Request(str(adapter), "peft", tmp_path / "out"))
