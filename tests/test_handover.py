"""What a run hands over is what it measured: in plain transformers and plain PEFT, to the same log-probabilities."""

import json
from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch.testing import assert_close
from transformers import AutoModelForCausalLM, AutoTokenizer

from espalier import tuning
from espalier.handover import handover
from espalier.run import load
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree
from tests import running
from tests.models_on_disk import recipe_of, save_model

quick = running.quick
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*gradient_checkpointing. is deprecated:FutureWarning"
)  # PEFT asks for it
HIGH = {"learning_rate": 1e-2, "schedule": "constant"}
CHAT = [{"role": "user", "content": "3 sum of odd"}]


def ours(run):
    """The result through our engine: the ids of a rendered row, and its log-probabilities."""
    loaded = load(run.folder)
    row = loaded.renderer.completion("3 sum of odd", "yes yes")
    with torch.no_grad():
        return row, loaded.policy.token_logps(Forest.plant([Tree.of([row])]))


def theirs(model, row):
    """The same from a model's own forward."""
    ids = torch.from_numpy(row.ids).long()
    with torch.no_grad():
        logps = model(ids[None]).logits[0, :-1].log_softmax(-1)
    return logps.gather(1, ids[1:, None])[:, 0][torch.from_numpy(row.mask[1:])]


@pytest.mark.parametrize(("objective", "tied"), [("sft", False), ("sft", True), ("dpo", False)])
def test_equals_plain_transformers(objective, tied, quick):
    save_model(quick / "model", tie_word_embeddings=tied)
    run = tuning.train(recipe_of(quick, objective, **HIGH))
    model = AutoModelForCausalLM.from_pretrained(run.result)
    row, logps = ours(run)
    assert_close(theirs(model, row), logps, rtol=1e-5, atol=1e-5)
    base = AutoModelForCausalLM.from_pretrained(quick / "model")
    assert float((theirs(base, row) - logps).abs().max()) > 0.01
    assert (model.lm_head.weight is model.model.embed_tokens.weight) == tied
    config = json.loads((run.result / "config.json").read_text())
    assert "_attn_implementation" not in config and config["dtype"] == "float32"


def test_equals_plain_peft_also_for_an_adapter_that_was_trained_on(quick):
    first = tuning.train(recipe_of(quick, adapter="lora", out="first", **HIGH))
    second = tuning.train(recipe_of(quick, "dpo", from_run=first.folder, **HIGH))
    found = []
    for run in (first, second):
        base = AutoModelForCausalLM.from_pretrained(quick / "model")
        row, logps = ours(run)
        assert_close(theirs(PeftModel.from_pretrained(base, run.result), row), logps, rtol=1e-5, atol=1e-5)
        found.append(logps)
    assert float((found[0] - found[1]).abs().max()) > 0.01
    assert sorted(path.name for path in second.result.iterdir() if path.is_dir()) == []
    config = json.loads((second.result / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str((quick / "model").resolve())


def test_the_best_weights_are_handed_over_not_the_last(quick):
    run = tuning.train(recipe_of(quick, learning_rate=0.5, schedule="constant", eval_every=1, max_steps=4))
    losses = [event["loss"] for event in run.metrics() if event["kind"] == "eval"]
    assert min(losses) < losses[-1], "the rate is meant to be too high"
    best = load_file(run.checkpoints / "best" / "weights.safetensors")
    assert json.loads((run.checkpoints / "best" / "step.json").read_text()) == 1 + losses.index(min(losses))
    assert_close(load_file(run.result / "model.safetensors"), best, rtol=0, atol=0)


@pytest.mark.parametrize("adapter", [None, "lora"])
def test_tokenizer_and_template_go_along(adapter, quick):
    run = tuning.train(recipe_of(quick, adapter=adapter, max_steps=1))
    before, after = (AutoTokenizer.from_pretrained(folder) for folder in (quick / "model", run.result))
    assert after.chat_template == before.chat_template
    rendered = [t.apply_chat_template(CHAT, add_generation_prompt=True, tokenize=False) for t in (before, after)]
    assert rendered[0] == rendered[1]
    ids = load(run.folder).renderer.prompt("3 sum of odd").tolist()
    assert after(rendered[1])["input_ids"] == ids


def test_generation_ends_where_turns_end_and_never_at_padding(quick):
    run = tuning.train(recipe_of(quick, max_steps=1))
    config = AutoModelForCausalLM.from_pretrained(run.result).generation_config
    tokenizer = AutoTokenizer.from_pretrained(run.result)
    assert config.eos_token_id == tokenizer.convert_tokens_to_ids(["<|im_end|>", "</s>"])
    assert config.pad_token_id == tokenizer.pad_token_id not in config.eos_token_id


def test_a_run_of_one_step_asks_the_reference_for_its_own_rows_only(quick):
    told = []
    tuning.train(recipe_of(quick, "dpo", max_steps=1, eval_share=0.0), listen=told.append)
    assert [event.values["total"] for event in told if event.kind == "reference"] == [4]
    assert next(event for event in told if event.kind == "step").values["loss"] == pytest.approx(0.693147, abs=1e-6)


def test_a_live_reference_gives_the_losses_of_a_cached_one(quick):
    losses = []
    for reference in ("cached", "live"):
        run = tuning.train(recipe_of(quick, "dpo", out=reference, reference=reference, learning_rate=1e-3))
        losses.append([event["loss"] for event in run.metrics() if event["kind"] in ("step", "eval")])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) and losses[0][-1] < 0.69


@pytest.mark.parametrize(
    ("said", "kept"),
    [({"temperature": 0.6, "top_p": 0.9}, (True, 0.6)), ({"temperature": 0.0}, (None, None)), ({}, (None, None))],
)
def test_how_answers_are_sampled_goes_along_also_where_it_is_not_said_that_they_are(said, kept, quick):
    model = AutoModelForCausalLM.from_pretrained(save_model(quick / "model"))
    for name, value in said.items():
        setattr(model.generation_config, name, value)
    tokenizer = AutoTokenizer.from_pretrained(quick / "model")
    handover(model, {}, SimpleNamespace(tokenizer=tokenizer, stop_ids=(2,)), quick / "out", base="")
    config = AutoModelForCausalLM.from_pretrained(quick / "out").generation_config
    assert (config.do_sample, config.temperature) == kept
