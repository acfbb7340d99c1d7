"""Zephyr's chain and stepwise DPO: the recipes, the rows that pass from stage to stage, and what the reference is."""

import json
from pathlib import Path

import pytest
import torch

from espalier.answering import Answering
from espalier.catalogue import load
from espalier.cli import main
from espalier.cli.running import check
from espalier.errors import RecipeError
from espalier.lm.local import Local
from espalier.lm.scripted import Scripted
from espalier.models.load import load_model
from espalier.objectives.dpo import DPO
from espalier.planning import plan_run
from espalier.recipe import load_recipe
from espalier.run import load as opened
from espalier.stages.recipe import load_stages
from espalier.tuning import train
from tests import running
from tests.models_on_disk import pairs, recipe_of, save_model, write_rows

RECIPES = Path(__file__).parents[1] / "recipes"
quick = running.quick


def stages(name, folder, **values):
    return load_stages(RECIPES / name, [f"out={folder / 'out'}", *(f"{key}={value}" for key, value in values.items())])


def test_zephyrs_stages_follow_each_other(tmp_path):
    values = {"data": "p.jsonl", "test": "t.jsonl", "model": "m", "teacher": "http://localhost:8000/v1:big"}
    recipe = stages("zephyr.toml", tmp_path, judge="politeness", preset="handbook", adapter="full", **values)
    check(recipe)
    assert [stage.name for stage in recipe.stages] == [
        "dialogues",
        "sft",
        "answers",
        "feedback",
        "pairs",
        "dpo",
        "duel",
    ]
    assert {stage.name: stage.after for stage in recipe.stages} == {
        "dialogues": (), "sft": ("dialogues",), "answers": ("sft",), "feedback": ("answers",), "pairs": ("feedback",),
        "dpo": ("sft", "pairs"), "duel": ("sft", "dpo"),
    }  # fmt: skip
    with pytest.raises(RecipeError, match=r"stage 'feedback': no scorer named 'politenes'"):
        check(stages("zephyr.toml", tmp_path, judge="politenes", **values))


def test_both_settings_are_presets():
    dpo, sft = DPO.presets, load("objectives/sft").presets
    assert (dpo["zephyr"]["beta"], dpo["zephyr"]["learning_rate"], dpo["zephyr"]["schedule"]) == (0.1, 5e-7, "linear")
    assert (dpo["zephyr"]["batch_size"], dpo["zephyr"]["epochs"], dpo["zephyr"]["warmup"]) == (32, 3.0, 0.1)
    assert (dpo["handbook"]["beta"], dpo["handbook"]["epochs"], dpo["handbook"]["schedule"]) == (0.01, 1.0, "cosine")
    assert sft["zephyr"]["learning_rate"] == sft["handbook"]["learning_rate"] == 2e-5


def test_rows_pass_from_stage_to_stage(quick, monkeypatch):
    """With models that are told what to say: a polite one and a rude one, and politeness as the judge."""
    monkeypatch.chdir(quick)
    polite, rude = (Scripted(lambda prompt, said=said: f"{said} {prompt}") for said in ("Thank you.", "Go away."))
    monkeypatch.setattr(Answering, "open", lambda self, name: rude if name.endswith("sft") else polite)
    prompts = write_rows(quick / "p.jsonl", [{"prompt": f"{n}?", "chosen": "a", "rejected": "b"} for n in range(6)])
    save_model(quick / "model")
    values = {
        "data": prompts,
        "test": prompts,
        "model": quick / "model",
        "teacher": "t",
        "judge": "politeness",
        "answers": 2,
    }
    recipe = stages("zephyr.toml", quick, **values)
    recipe.out.mkdir()
    for name in ("dialogues", "answers", "feedback", "pairs", "duel"):
        assert main(recipe.stage(name).words) == 0, name
    made = [json.loads(line) for line in (recipe.out / "pairs.jsonl").read_text("utf-8").splitlines()]
    assert [row["chosen"] for row in made] == [f"Thank you. {n}?" for n in range(6)]
    assert all(row["rejected"].startswith("Go away.") and row["chosen_score"] == 1.0 for row in made)
    for name, objective in (("dialogues", "sft"), ("pairs", "dpo")):
        given = {
            "objective": objective,
            "model": str(quick / "model"),
            "out": "-",
            "data": recipe.out / f"{name}.jsonl",
        }
        assert plan_run(load_recipe(None, **given)).audit.kept == 6
    duel = [json.loads(line) for line in (recipe.out / "duel.jsonl").read_text("utf-8").splitlines()]
    assert {row["winner"] for row in duel} == {"first"}


def weights(run):
    return load_model(str(run.result), dtype=torch.float32, device="cpu").state_dict()


def ordered(folder, steps):
    """The pairs with their steps, as `espalier curate` writes them."""
    write_rows(folder / "pairs.jsonl", pairs(24))
    save_model(folder / "model")
    words = ["--lm", folder / "model", "--data", folder / "pairs.jsonl", "--dtype", "float32"]
    out = folder / f"steps{steps}.jsonl"
    assert main(["curate", "stepwise", "--steps", str(steps), *map(str, words), "--out", str(out)]) == 0
    return out


def test_equals_dpo_where_there_is_one_step(quick):
    settings = {"model": quick / "model", "max_steps": 3, "learning_rate": 1e-3, "reference": "cached"}
    once = ordered(quick, 1)
    one = train(recipe_of(quick, "dpo", data={"path": str(once), "where": "step=1"}, out="one", **settings))
    dpo = train(recipe_of(quick, "dpo", data=quick / "pairs.jsonl", out="dpo", **settings))
    for (name, mine), theirs in zip(weights(one).items(), weights(dpo).values(), strict=True):
        assert torch.equal(mine, theirs), name


def test_equals_the_frozen_model_of_step_1_is_the_reference_of_step_2(quick, monkeypatch):
    data = ordered(quick, 2)
    settings = {"max_steps": 3, "learning_rate": 2e-3}
    easy, hard = ({"path": str(data), "where": f"step={step}"} for step in (1, 2))
    first = train(recipe_of(quick, "dpo", data=easy, from_run=quick / "model", adapter="lora", out="one", **settings))
    seen, loss = {}, DPO.loss

    def noted(self, models, piece):
        for name in ("chosen", "rejected"):
            for length, value in zip(
                piece.lengths[piece[name]].tolist(), piece["reference_logps"][piece[name]], strict=True
            ):
                seen.setdefault(name, set()).add((length, value.item()))
        return loss(self, models, piece)

    monkeypatch.setattr(DPO, "loss", noted)
    train(recipe_of(quick, "dpo", data=hard, from_run=first.folder, out="two", **settings))
    monkeypatch.undo()
    frozen, start = (Local(found.policy, found.renderer) for found in map(opened, (first.folder, quick / "model")))
    rows = [row for row in map(json.loads, data.read_text("utf-8").splitlines()) if row["step"] == 2]

    def expected(lm, name):
        found = set()
        for row in rows:
            path = lm.renderer.completion(row["prompt"], row[name])
            found.add((int(path.mask.sum()), lm.logprobs(row["prompt"], [row[name]])[0]))
        return found

    def there(value, values):  # float32, computed in another batch
        return any(value[0] == other[0] and abs(value[1] - other[1]) < 1e-4 for other in values)

    for name in ("chosen", "rejected"):
        now, before = expected(frozen, name), expected(start, name)
        assert len(seen[name]) > 4 and all(there(value, now) for value in seen[name])
        assert not any(there(value, before) for value in seen[name]), "step 1 has moved it"


def test_the_stages_of_stepwise_dpo_follow_each_other(tmp_path):
    recipe = stages("sdpo.toml", tmp_path, data="p.jsonl", model="m", order="given", adapter="none")
    check(recipe)
    assert {stage.name: stage.after for stage in recipe.stages} == {
        "order": (), "step1": ("order",), "step2": ("order", "step1"),
    }  # fmt: skip
    words = recipe.stage("step2").words
    assert words[words.index("--from") + 1] == str(tmp_path / "out" / "step1") and "data.where=step=2" in words
