"""Likes and dislikes, from a file of them to a run: recipes/thumbs.toml."""

import json
from pathlib import Path

import pytest

from espalier.cli.running import check
from espalier.errors import RecipeError
from espalier.planning import plan_run
from espalier.recipe import dump, load_recipe
from espalier.stages.recipe import load_stages
from tests import running
from tests.formats.feedback import feedback
from tests.models_on_disk import answers, recipe_of, write_rows

THUMBS = Path(__file__).parents[1] / "recipes" / "thumbs.toml"
quick = running.quick


def rated(folder):
    rows = [row | {"label": number % 3 > 0} for number, row in enumerate(answers(30))]
    return write_rows(folder / "thumbs.jsonl", rows)


def test_the_recipe_is_understood_and_its_second_step_starts_at_the_first(tmp_path):
    recipe = load_stages(THUMBS, ["data=rows.jsonl", "model=small", f"out={tmp_path / 'out'}"])
    check(recipe)
    assert [stage.name for stage in recipe.stages] == ["rows", "check", "sft", "kto"]
    assert recipe.stage("kto").after == ("sft",) and "data.where=label=true" in recipe.stage("sft").words
    with pytest.raises(RecipeError, match="no data given"):
        check(load_stages(THUMBS, ["model=small"]))


def test_imitation_sees_the_liked_answers_only(quick):
    recipe = recipe_of(quick, data={"path": str(rated(quick)), "where": "label=true"})
    plan = plan_run(recipe)
    assert (plan.audit.read, plan.audit.kept, plan.audit.dropped) == (20, 20, {})
    assert any("10 left out: not label=true" in told for told in plan.audit.detected)
    assert plan_run(recipe_of(quick, data=str(rated(quick)))).audit.kept == 30, "another cache"


def test_both_labels_are_seen_and_weighted(quick):
    told = plan_run(recipe_of(quick, "kto", data=str(rated(quick)), eval_share=0.0)).audit.detected
    assert any("20 liked and 10 disliked answers, weights" in line and "under 100" in line for line in told)


def test_an_export_of_open_webui_is_planned_as_thumbs_and_as_pairs(quick):
    path = quick / "feedback.json"
    path.write_text(json.dumps([feedback("b", 1), feedback("c", -1), feedback("d", -1)]), encoding="utf-8")
    assert plan_run(recipe_of(quick, "kto", data=str(path), eval_share=0.0)).audit.kept == 3
    pairs = {"path": str(path), "format": "open_webui_pairs"}
    assert plan_run(recipe_of(quick, "dpo", data=pairs, eval_share=0.0)).audit.kept == 2


def test_a_recipe_keeps_what_is_asked_for(tmp_path):
    recipe = load_recipe(
        None, ["data.where=label=true,kind=review"], model="m", data="d.jsonl", objective="sft", out="o"
    )
    assert recipe.data == [{"path": "d.jsonl", "where": "label=true,kind=review"}]
    (tmp_path / "r.toml").write_text(dump(recipe), encoding="utf-8")
    assert load_recipe(tmp_path / "r.toml") == recipe
