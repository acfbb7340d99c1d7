"""Two ranks give the losses, gradients and weights of one, and nobody waits forever."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from espalier import tuning
from espalier.errors import RecipeError
from espalier.objectives.sft import SFT
from espalier.run import Run
from espalier.train import distributed
from espalier.train.store import StoreWriter, whole
from tests import running
from tests.models_on_disk import answers, recipe_of, save_model, write_rows
from tests.train.ranks import numbers, run, together, two_steps
from tests.train.toys import models_of, single, small

quick = running.quick


def test_numbers_travel_between_ranks(tmp_path):
    together(numbers, str(tmp_path))


def test_alone_nothing_is_wrapped_and_numbers_stay():
    models = models_of(SFT(), small())
    before = models.policy.engine
    distributed.spread(models, "fsdp")
    assert models.policy.engine is before
    assert distributed.sum_over_ranks(0.1) == 0.1
    assert distributed.agreed("x") == "x" and distributed.first(lambda: 3) == 3
    with pytest.raises(RecipeError, match="no strategy named 'zero'"):
        distributed.spread(models, "zero")


@pytest.mark.parametrize(
    ("strategy", "objective", "kind", "examples", "max_tokens"),
    [
        ("ddp", "sft", "full", 7, 20),  # an odd number, and pieces of unlike number
        ("ddp", "dpo", "lora", 1, None),  # a rank without examples
        ("fsdp", "sft", "tied", 7, 20),
        ("fsdp", "dpo", "lora", 5, 40),
        ("fsdp", "dpo", "full", 1, None),
    ],
)
def test_equals_one_rank(strategy, objective, kind, examples, max_tokens, tmp_path):
    together(two_steps, strategy, objective, kind, examples, max_tokens, str(tmp_path / "two"))
    two_steps(strategy, objective, kind, examples, max_tokens, str(tmp_path / "one"))
    two, one = (torch.load(tmp_path / name, weights_only=True) for name in ("two", "one"))
    for ours, theirs in zip(two["reports"], one["reports"], strict=True):
        assert ours == pytest.approx(theirs, rel=1e-10, abs=1e-12)
    for part in ("gradient", "weights"):
        assert two[part].keys() == one[part].keys()
        for name, value in one[part].items():
            assert_close(two[part][name], value, rtol=1e-8, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}")


def results(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(next(folder.glob("*/*model.safetensors")))


def events(folder: Path, kind: str) -> list[dict]:
    return [event for event in Run(folder).metrics() if event["kind"] == kind]


@pytest.mark.parametrize(
    ("objective", "strategy", "adapter"),
    [("sft", "ddp", None), ("dpo", "ddp", "lora"), ("dpo", "fsdp", "lora"), ("sft", "fsdp", None)],
)
def test_equals_a_run_of_one_rank(objective, strategy, adapter, quick, monkeypatch):
    given = {"strategy": strategy, "adapter": adapter, "batch_size": 3, "tokens_per_piece": 96, "learning_rate": 1e-3}
    recipe = recipe_of(quick, objective, out="two", **given)
    together(run, recipe, str(quick / "cache"), str(quick / "log"))
    monkeypatch.setenv("ESPALIER_CACHE", str(quick / "alone"))
    tuning.train(recipe_of(quick, objective, out="one", **given))
    told = [(quick / f"log-{rank}").read_text(encoding="utf-8").splitlines() for rank in (0, 1)]
    assert told[0][-1] == "end" and "step" in told[0] and not told[1], "the first rank tells, the other is silent"
    assert len(list((quick / "cache" / "rows").iterdir())) == 1
    two, one = quick / "two", quick / "one"
    assert Run(two).state == "finished" and Run(two).info()["ranks"] == 2
    for kind in ("step", "eval"):
        ours, theirs = events(two, kind), events(one, kind)
        assert [event["step"] for event in ours] == [event["step"] for event in theirs]
        for a, b in zip(ours, theirs, strict=True):
            assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
            assert a.get("examples") == b.get("examples")
    ours, theirs = results(two), results(one)
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert_close(ours[name], value, rtol=1e-3, atol=2e-4)  # Adam divides by what rounds unlike


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_run_of_two_ranks_goes_on_with_one(strategy, quick):
    given = {"strategy": strategy, "save_every": 1, "eval_share": 0.0}
    together(run, recipe_of(quick, out="run", **given), str(quick / "cache"), str(quick / "log"))
    before = events(quick / "run", "step")
    file = quick / "run" / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"state": "interrupted"}))
    last = sorted((quick / "run" / "checkpoints").glob("step-*"))[-1]
    for name in last.iterdir():
        name.unlink()
    last.rmdir()
    tuning.train(recipe_of(quick), resume=True)
    after = events(quick / "run", "step")
    assert [event["step"] for event in after] == [event["step"] for event in before]
    assert after[-1]["loss"] == pytest.approx(before[-1]["loss"], rel=1e-4)


def test_bad_input_is_the_same_sentence_on_every_rank(tmp_path):
    save_model(tmp_path / "model")
    rows = write_rows(tmp_path / "rows.jsonl", [{**row, "completion": ""} for row in answers(4)])
    recipe = recipe_of(tmp_path, data=rows)
    together(run, recipe, str(tmp_path / "cache"), str(tmp_path / "log"), True)
    sentences = {(tmp_path / f"log-{rank}").read_text(encoding="utf-8") for rank in (0, 1)}
    assert len(sentences) == 1 and "none of the 4 rows can be trained on" in sentences.pop()
    assert not (tmp_path / "run").exists()


def test_several_writers_of_the_same_rows_do_not_disturb_each_other(tmp_path):
    writers = [StoreWriter(tmp_path / "rows") for _ in range(3)]
    for writer in writers:
        with writer:
            writer.add(single(0))
    assert whole(tmp_path / "rows")
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]
