"""Whatever a user can get wrong is one clear sentence, costs no weight and no network, and leaves nothing behind."""

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from espalier import tuning
from espalier.cli import main
from espalier.errors import EspalierError, ModelError, RecipeError, RowError, RunError
from tests import running
from tests.models_on_disk import answers, pairs, recipe_of, save_model, write_rows

quick = running.quick
PEFT_ASKS = "ignore:.*gradient_checkpointing. is deprecated:FutureWarning"
pytestmark = pytest.mark.filterwarnings(PEFT_ASKS)


def refused(folder: Path, *, kind: type[EspalierError], match: str, resume: bool = False, **given: Any) -> str:
    """The one sentence of a run that cannot be; no folder is left."""
    with pytest.raises(EspalierError, match=match) as caught:
        tuning.train(recipe_of(folder, **given), resume=resume)
    assert type(caught.value) is kind
    sentence = str(caught.value)
    assert "\n" not in sentence and len(sentence) < 500
    assert not (folder / "run").exists()
    assert not list(folder.glob("cache/rows/*.partial"))
    return sentence


@pytest.fixture
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was touched")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"objective": "dpo", "betta": 0.2}, "betta.*Did you mean 'beta'"),
        ({"objective": "dpoo"}, "no method of objectives named 'dpoo'. Did you mean 'dpo'"),
        ({"objective": "dpo", "beta": -1.0}, "beta must be above 0"),
        ({"adapter": "loar"}, "no method of adapters named 'loar'. Did you mean 'lora'"),
        ({"batch_size": 0}, "'batch_size' must be at least 1, not 0"),
        ({"learning_rate": -1.0}, "'learning_rate' must be above 0, not -1.0"),
        ({"schedule": "cosin"}, "'schedule' is one of cosine, linear, constant, not 'cosin'"),
        ({"epochs": "many"}, "'epochs' must be a number, not 'many'"),
        ({"eval_share": 1.0}, "'eval_share' must be from 0"),
        ({"device": "tpu"}, "'device' is one of auto, cpu, cuda, mps, not 'tpu'"),
        ({"quantize": "nf4"}, "quantize needs an adapter"),
        ({"max_tokens": 129}, "max_tokens = 129 is more than the model's context of 128 tokens"),
        ({"preset": "tiny"}, "no preset of objectives/sft named 'tiny'"),
        ({"render.template": "no/such.jinja"}, "template 'no/such.jinja' is neither"),
    ],
)
def test_an_option_that_cannot_be(given, match, quick):
    refused(quick, kind=RecipeError, match=match, **given)


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        ([], "rows.jsonl is empty"),
        ([{"a": 1}], "rows.jsonl: no known format has its columns a. Expected are prompt and completion"),
        ([{"prompt": "x", "completion": ""}] * 3, r"none of the 3 rows can be trained on \(empty target: "),
        ([{"prompt": "x", "completion": "x"}], "none of the 1 rows .*prompt and completion are the same: 1"),
        ([{"prompt": "x" * 200, "completion": "y"}], "none of the 1 rows .*too long: 1.*more than the model's context"),
        ([{"prompt": "x"}], "missing 'completion'; objectives/sft needs prompt and completion, messages, or text"),
        ([*answers(6), *({"prompt": f"{n}" * 130, "completion": "y"} for n in range(4))],
         r"4 of 10 rows \(40%\) would be dropped \(too long: 4\).*--accept-dropped"),
    ],
)  # fmt: skip
def test_rows_that_train_nothing(rows, match, quick):
    refused(quick, kind=RowError, match=match, data=write_rows(quick / "rows.jsonl", rows))


@pytest.mark.parametrize(
    ("rows", "match"),
    [
        (
            [{"prompt": "x", "chosen": "y", "rejected": "y"}] * 2,
            "row 1: chosen and rejected are identical. These rows are good for sft",
        ),
        (answers(3), "missing 'chosen', 'rejected'; objectives/dpo needs prompt, chosen, rejected"),
    ],
)
def test_rows_that_are_no_pairs(rows, match, quick):
    refused(quick, objective="dpo", kind=RowError, match=match, data=write_rows(quick / "rows.jsonl", rows))


def test_a_few_bad_rows_are_dropped_and_counted(quick):
    data = quick / "rows.jsonl"
    write_rows(data, [*answers(24), {"prompt": "x", "completion": ""}])
    with data.open("a", encoding="utf-8") as file:
        file.write('{"prompt": "cut')
    run = tuning.train(recipe_of(quick, data=data, max_steps=1))
    dropped = run.read("audit.json")["dropped"]
    assert sum(dropped.values()) == 2 and dropped["empty target"] == 1
    assert any("rows.jsonl, row 26" in place for places in run.read("audit.json")["where"].values() for place in places)


def test_files_that_do_not_exist(quick, no_sockets):
    refused(quick, kind=RowError, match="nowhere.jsonl", data=quick / "nowhere.jsonl")
    refused(quick, kind=ModelError, match="no/such/folder: no such folder", model="no/such/folder")
    refused(
        quick,
        kind=ModelError,
        match="nobody/nothing: there is no folder of that name, and the hub",
        model="nobody/nothing",
    )
    refused(quick, kind=ModelError, match="no such folder", from_run=quick / "earlier")
    refused(quick, kind=RunError, match="no run here", resume=True)


def damage(folder: Path, what: str) -> str:
    """Spoil a model folder; returns the sentence that tells."""
    if what == "tokenizer":
        for file in [*folder.glob("tokenizer*"), *folder.glob("chat_template*")]:
            file.unlink()
        return r"the model folder has no tokenizer \(tokenizer.json\)"
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if what == "pickle":
        torch.save(weights, folder / "pytorch_model.bin")
        return "weights must be safetensors; there is only pytorch_model.bin, a pickle"
    if what == "nan":
        weights["model.norm.weight"][0] = float("nan")
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        return "1 weights hold NaN or infinity, model.norm.weight first"
    return "weights must be safetensors; there is none"


@pytest.mark.parametrize("what", ["tokenizer", "pickle", "nan", "weights"])
def test_a_model_folder_that_is_damaged(what, quick, no_sockets):
    match = damage(save_model(quick / "model"), what)
    refused(quick, kind=ModelError, match=match)


def test_a_folder_that_is_no_model(quick):
    (quick / "empty").mkdir()
    refused(quick, kind=ModelError, match="empty: no model here", model=quick / "empty")


def test_adapters_that_do_not_fit(quick):
    adapter = tuning.train(recipe_of(quick, out="start", adapter="lora", max_steps=1)).result
    save_model(quick / "other", intermediate_size=28)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": str(quick / "other")}))
    refused(quick, kind=ModelError, match="this adapter does not fit the model", from_run=adapter)
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    refused(quick, kind=ModelError, match="made for .*model, not for .*other", from_run=adapter, model=quick / "other")
    refused(quick, kind=RecipeError, match="already is an adapter", from_run=adapter, adapter="lora")
    torch.save(load_file(adapter / "adapter_model.safetensors"), adapter / "adapter_model.bin")
    (adapter / "adapter_model.safetensors").unlink()
    refused(quick, kind=ModelError, match=r"adapters saved as pickles \(.bin\) are refused", from_run=adapter)


def test_weights_that_overflow(quick):
    folder = save_model(quick / "model")
    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"] *= 1e38
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    refused(quick, kind=ModelError, match="log-probabilities differ by nan nats")


def test_a_learning_rate_that_is_too_high(quick):
    match = r"the loss became (nan|inf) on a batch of 4 examples; no weight was changed by it\. Lower the learning rate"
    refused(quick, kind=RunError, match=match, learning_rate=1e30, save_every=100, eval_every=100)


def test_a_learning_rate_that_changes_nothing(quick):
    late = {"save_every": 100, "eval_every": 100}
    refused(
        quick, kind=RunError, match="the learning rate 1e-30 changes none of the float32", learning_rate=1e-30, **late
    )


def test_an_output_folder_that_is_taken(quick):
    recipe = recipe_of(quick, max_steps=1)
    (quick / "run").mkdir()
    (quick / "run" / "thesis.tex").write_text("x")
    with pytest.raises(RunError, match="run is not empty"):
        tuning.train(recipe)
    assert [path.name for path in (quick / "run").iterdir()] == ["thesis.tex"]
    shutil.rmtree(quick / "run")
    (quick / "run").write_text("x")
    with pytest.raises(RunError, match="run is a file"):
        tuning.train(recipe)


def test_a_run_that_is_there_already(quick):
    recipe = recipe_of(quick, max_steps=1)
    run = tuning.train(recipe)
    before = sorted((path, path.stat().st_mtime_ns) for path in run.folder.rglob("*"))
    with pytest.raises(RunError, match=r"already holds a run.*: espalier train --resume"):
        tuning.train(recipe)
    with pytest.raises(RunError, match=r"this run is finished; its result is .*run/model"):
        tuning.train(recipe, resume=True)
    assert before == sorted((path, path.stat().st_mtime_ns) for path in run.folder.rglob("*"))


def test_a_run_without_a_result_is_no_start(quick):
    tuning.train(recipe_of(quick, out="first"), stop=lambda: True)
    sentence = refused(quick, kind=RunError, match=r"no result yet \(it is interrupted\)", from_run=quick / "first")
    assert "espalier train --resume" in sentence


def test_the_command_line_prints_the_sentence_and_nothing_else(quick, capsys):
    save_model(quick / "model")
    rows = write_rows(quick / "rows.jsonl", pairs(3))
    words = ["train", "dpo", "--model", str(quick / "model"), "--data", str(rows), "--out", str(quick / "run")]
    assert main([*words, "betta=0.2"]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("error: ") and told.err.count("\n") == 1
    assert "Did you mean 'beta'?" in told.err
    assert not (quick / "run").exists()
