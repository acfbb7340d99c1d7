"""A recipe of stages as written: its values, its order, and what is wrong with it."""

from pathlib import Path

import pytest

from espalier.errors import RecipeError
from espalier.stages.recipe import load_stages, within

WORLD = '[[stage]]\nname = "world"\ncommand = "sprout world --seed 0 --out {out}/world"\n'
SFT = '[[stage]]\nname = "sft"\ncommand = "espalier train sft --data {out}/world/sft.jsonl --out {out}/sft"\n'


def written(text, *overrides, top='out = "runs/q"\n'):
    Path("r.toml").write_text(top + text, encoding="utf-8")
    return load_stages("r.toml", overrides)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_stage_needs_those_that_write_what_it_names():
    recipe = written(SFT + WORLD)
    assert [(stage.name, stage.after) for stage in recipe.stages] == [("world", ()), ("sft", ("world",))]
    assert recipe.stage("sft").words == ("train", "sft", "--data", "runs/q/world/sft.jsonl", "--out", "runs/q/sft")
    assert recipe.stage("sft").writes == (Path("runs/q/sft"),)


def test_stages_that_need_nothing_keep_their_order_and_after_adds():
    other = '[[stage]]\nname = "{}"\ncommand = "check"\nafter = [{}]\n'
    recipe = written(other.format("b", '"z"') + other.format("a", "") + other.format("z", ""))
    assert [stage.name for stage in recipe.stages] == ["a", "z", "b"]
    recipe = written(WORLD + SFT + 'after = ["a"]\n' + other.format("a", ""))
    assert recipe.stage("sft").after == ("world", "a")


def test_values_are_filled_in_and_overridden_and_stay_one_word():
    text = '[values]\nrows = "{out}/rows.jsonl"\nsteps = 4\nfast = true\n[[stage]]\nname = "a"\nwhy = "{steps} steps"\n'
    text += "command = \"train --data={rows} --max-steps {steps} fast={fast} --prompt '{{question}} {steps}'\"\n"
    stage = written(text).stages[0]
    assert stage.words[1:] == ("--data=runs/q/rows.jsonl", "--max-steps", "4", "fast=true", "--prompt", "{question} 4")
    assert stage.why == "4 steps"
    assert written(text, "rows=my rows.jsonl").stages[0].words[1] == "--data=my rows.jsonl"
    assert written(text, "out=else").stages[0].words[1] == "--data=else/rows.jsonl"
    assert written(text, 'steps="7"', "rows={x}").stages[0].words[1:4] == ("--data={x}", "--max-steps", "7")


def test_a_tilde_is_the_home_folder_as_in_a_shell():
    words = written('[[stage]]\nname = "a"\ncommand = "check ~/rows.jsonl ~"\n').stages[0].words
    assert words == ("check", str(Path.home() / "rows.jsonl"), "~")


def test_what_a_recipe_of_a_run_writes_is_known():
    Path("run.toml").write_text('out = "runs/q/dpo"\n[objective]\nmethod = "dpo"\n', encoding="utf-8")
    text = (
        '[[stage]]\nname = "dpo"\ncommand = "train run.toml"\n[[stage]]\nname = "e"\ncommand = "evaluate {out}/dpo"\n'
    )
    assert written(text).stage("e").after == ("dpo",)
    assert written(text.replace("run.toml", "run.toml out={out}/x")).stage("dpo").writes == (Path("runs/q/x"),)
    assert written(text + 'writes = ["{out}/a.json", "{out}/a.html"]\n').stage("e").writes[1] == Path("runs/q/a.html")


@pytest.mark.parametrize(
    ("text", "overrides", "sentence"),
    [
        ("", (), "no stages"),
        ('[objective]\nmethod = "dpo"\n', (), "recipe of a single run. Type: espalier train r.toml"),
        ("[vaules]\na = 1\n" + WORLD, (), "'vaules'. Did you mean 'values'?"),
        ("[values]\nmodel = 1\n" + WORLD, ("modle=x",), "no value named 'modle'. Did you mean 'model'?"),
        (WORLD, ("model",), "'model' is no value. Write name=value"),
        (WORLD, ("out=",), "'out' is empty"),
        ("[values]\nmodel = []\n" + WORLD, (), "'model' is text or a number"),
        ('[values]\n"a-b" = "x"\n' + WORLD, (), "not 'a-b'"),
        ('[values]\nout = "x"\n' + WORLD, (), "'out' stands at the top"),
        (WORLD.replace("{out}", "{otu}"), (), "stage 'world': no value named 'otu'. Did you mean 'out'?"),
        (WORLD.replace("name", "nmae"), (), "stage 1 needs a name"),
        (WORLD.replace('"world"', '"a world"'), (), "not 'a world'"),
        (WORLD + 'comand = "x"\n', (), "option of stage 'world' named 'comand'"),
        (WORLD + 'after = ["wrld"]\n', (), "no stage named 'wrld'. Did you mean 'world'?"),
        (WORLD + 'after = ["world"]\n', (), "wait for each other: world after world"),
        (WORLD + 'after = ["sft"]\n' + SFT, (), "wait for each other: "),
        (WORLD + WORLD, (), "two stages are named 'world'"),
        (WORLD + WORLD.replace('"world"', '"again"'), (), "'world' and 'again' both write in runs/q/world"),
        (WORLD.replace("{out}/world", "{out}"), (), "writes runs/q itself"),
        (WORLD.replace("--seed 0", "--seed 0 | cat"), (), "'|' is of a shell"),
        (WORLD.replace("--seed 0", "--seed '0"), (), "stage 'world': No closing quotation"),
        ('[[stage]]\nname = "a"\ncommand = "espalier"\n', (), "its command is empty"),
        ("stage = 3\n", (), "no stages"),
        ("[[stage]\n", (), "r.toml, line 2"),
    ],
)
def test_what_is_wrong_is_one_sentence(text, overrides, sentence):
    with pytest.raises(RecipeError, match=r"^r\.toml") as error:
        written(text, *overrides)
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_a_recipe_says_where_its_results_go():
    with pytest.raises(RecipeError, match="no output folder given"):
        written(WORLD, top="")


def test_within_looks_at_no_disk():
    assert within(Path("a/b/../c"), Path("a/c")) and within(Path("a/c/d"), Path("./a/c"))
    assert not within(Path("a/cd"), Path("a/c")) and not within(Path("a"), Path("a/c"))
