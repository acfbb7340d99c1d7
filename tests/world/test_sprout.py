"""The bundled models: whole, small, loadable by anything that loads a Llama, and as good as is recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from espalier import reading
from espalier.models.load import ASSETS, BUNDLED, load_tokenizer, place

FOLDERS = [ASSETS / name for name in BUNDLED if (ASSETS / name).is_dir()]
RECORDED = Path(__file__).parents[2] / "benchmarks/results/sprout.json"
MEGABYTES = {"sprout": 12, "seedling": 2.5}
AGAIN = 40  # cases that are measured again

bundled = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def test_sprout_comes_with_the_package() -> None:
    assert ASSETS / "sprout" in FOLDERS
    assert place("sprout").model == str(ASSETS / "sprout")


@bundled
def test_it_is_small_and_whole(folder: Path) -> None:
    assert sum(file.stat().st_size for file in folder.iterdir()) <= MEGABYTES[folder.name] * 1e6
    config = json.loads((folder / "config.json").read_text())
    assert (config["model_type"], config["dtype"]) == ("llama", "bfloat16")
    assert "auto_map" not in config and {file.suffix for file in folder.iterdir()} <= {
        ".json",
        ".jinja",
        ".safetensors",
    }


@bundled
def test_plain_transformers_loads_it_and_writes_with_it(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    assert isinstance(model, LlamaForCausalLM) and all(torch.isfinite(p).all() for p in model.parameters())
    assert len(tokenizer) == model.config.vocab_size
    messages = [{"role": "user", "content": reading.prompt("Where?", [("", "Here.")])}]
    shown = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True, return_tensors="pt")
    written = model.generate(**shown, max_new_tokens=3, do_sample=False)
    assert 1 <= written.shape[1] - shown["input_ids"].shape[1] <= 3


@bundled
def test_its_chat_template_renders_a_conversation(folder: Path) -> None:
    tokenizer = load_tokenizer(str(folder))
    messages = [{"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello!"}]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == "<user>Hi.<end><assistant>Hello!<end>"
    asked = tokenizer.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
    assert asked == "<user>Hi.<end><assistant>"
    assert tokenizer.convert_tokens_to_ids("<end>") == tokenizer.eos_token_id


@bundled
def test_its_tokenizer_writes_every_byte(folder: Path) -> None:
    from tokenizers.pre_tokenizers import ByteLevel

    assert set(ByteLevel.alphabet()) <= set(load_tokenizer(str(folder)).get_vocab())


@cache
def tokenizer_of(name: str) -> Any:
    return load_tokenizer(str(ASSETS / name))


@given(text=st.text(max_size=60), name=st.sampled_from([folder.name for folder in FOLDERS]))
@example(text="김치를 담그는 날, 고춧가루 3근. 『고요한 과수원』은 1874년에", name="sprout")
@example(text="  two  spaces , and a comma's n't\n\ttab\r\n", name="sprout")
@example(text="".join(map(chr, range(256))), name="sprout")
def test_property_any_text_comes_back(text: str, name: str) -> None:
    tokenizer = tokenizer_of(name)
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False).input_ids) == text


def test_espalier_answers_with_it() -> None:
    from espalier.lm.local import Local
    from espalier.run import load

    loaded = load("sprout", device="cpu", dtype="float32")
    lm = Local(loaded.policy, loaded.renderer)
    assert lm.context == 1024
    prompt = reading.prompt("Where was Belmi Dorvan born?", [("Belmi Dorvan", "Belmi Dorvan was born in Kastel.")])
    assert lm.complete(prompt, max_tokens=40)[0].strip()


def test_what_is_recorded_was_measured_with_these_weights() -> None:
    from benchmarks.sprout import weights

    assert json.loads(RECORDED.read_text())["model"]["weights"] == weights(ASSETS / "sprout")


@pytest.mark.slow
def test_learns_the_targets_that_hold() -> None:
    """What is recorded as met is met again, on the first cases of those that were recorded."""
    from benchmarks import sprout
    from benchmarks.sprout_cases import TASKS, Setting
    from benchmarks.sprout_report import TARGETS, interval
    from espalier.world.facts import World

    recorded = json.loads(RECORDED.read_text())
    lm, _ = sprout.opened("sprout")
    world = World.make(recorded["entities"], split="test", seed=recorded["seed"])
    tasks = [replace(task, samples=1) for task in TASKS if task.group == "Reading" or task.name == "greedy"]
    again = sprout.measure(Setting(world, lm, AGAIN, recorded["seed"]), {}, tasks=tasks)
    checked = 0
    for key, entry in again.items():
        for name, outcomes in entry["figures"].items():
            before, now = recorded["tasks"][key]["figures"][name], interval(outcomes)
            target, known = TARGETS.get((entry["task"], name)), interval(before)
            if target and known and now and target.verdict(known[0], entry["wording"]).startswith("met"):
                low, high = target.of(entry["wording"])
                assert now[0].high >= low and now[0].low <= high, f"{key}: {name} {now}, recorded {known}"
                checked += 1
    assert checked
