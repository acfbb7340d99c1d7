import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import pytest

from espalier import recipe as recipes
from espalier.errors import RecipeError
from espalier.recipe import Recipe, dump, load_recipe, resolve_presets, spelled_out

WHOLE = """
model = "m"
from = "runs/sft"
out = "runs/dpo"
eval_data = "held.jsonl"

[[data]]
path = "a.jsonl"
format = "alpaca"
columns = { prompt = "question" }
weight = 2

[[data]]
path = "b.jsonl"
limit = 10

[objective]
method = "objectives/dpo"
beta = 0.05

[adapter]
method = "adapters/lora"
rank = 8
targets = ["q_proj"]

[train]
learning_rate = 5e-5
epochs = 1

[render]
thinking = "rows"
"""


@pytest.fixture
def whole(tmp_path) -> Path:
    file = tmp_path / "recipe.toml"
    file.write_text(WHOLE)
    return file


def given(*overrides: str, **more: Any) -> Recipe:
    return load_recipe(None, overrides, **{"model": "m", "data": "d", "out": "r", "objective": "dpo", **more})


def test_a_recipe_is_read_from_a_file(whole):
    recipe = load_recipe(whole)
    assert (recipe.model, recipe.out, recipe.from_run, recipe.eval_data) == ("m", "runs/dpo", "runs/sft", "held.jsonl")
    assert recipe.data == [
        {"path": "a.jsonl", "format": "alpaca", "columns": {"prompt": "question"}, "weight": 2.0},
        {"path": "b.jsonl", "limit": 10},
    ]
    assert recipe.objective == {"method": "objectives/dpo", "beta": 0.05}
    assert recipe.adapter == {"method": "adapters/lora", "rank": 8, "targets": ["q_proj"]}
    assert recipe.optimizer == {"method": "optimizers/adamw"}
    assert recipe.train_options.learning_rate == 5e-5
    assert recipe.render_options.thinking == "rows"


def test_a_dumped_recipe_reads_back_equal(whole, tmp_path):
    for number, recipe in enumerate((load_recipe(whole), given(), spelled_out(load_recipe(whole)))):
        file = tmp_path / f"{number}.toml"
        file.write_text(dump(recipe))
        assert load_recipe(file) == recipe


def test_values_win_over_the_file_and_overrides_over_values(whole):
    recipe = load_recipe(whole, ["learning_rate=3e-5", "objective.beta=0.3"], learning_rate=2.0, epochs=3, out=None)
    assert recipe.train == {"learning_rate": 3e-5, "epochs": 3.0}
    assert recipe.objective["beta"] == 0.3
    assert recipe.out == "runs/dpo"


def test_a_bare_name_goes_to_the_section_that_has_it():
    recipe = given(
        "beta=0.2", "rank=8", "targets=['q']", "weight_decay=0.1", "max_steps=4", "thinking=on", adapter="lora"
    )
    assert recipe.objective == {"method": "objectives/dpo", "beta": 0.2}
    assert recipe.adapter == {"method": "adapters/lora", "rank": 8, "targets": ["q"]}
    assert recipe.optimizer["weight_decay"] == 0.1
    assert recipe.train == {"max_steps": 4}
    assert recipe.render == {"thinking": "on"}


def test_a_method_chosen_last_decides_which_names_there_are():
    recipe = given("rank=8", "adapter=lora")
    assert recipe.adapter == {"method": "adapters/lora", "rank": 8}


def test_another_method_leaves_the_options_of_the_first_behind(whole):
    assert load_recipe(whole, objective="sft").objective == {"method": "objectives/sft"}
    assert load_recipe(whole, ["objective.method=sft"]).objective == {"method": "objectives/sft"}
    assert load_recipe(whole, objective="dpo").objective == {"method": "objectives/dpo", "beta": 0.05}


@pytest.mark.parametrize("name", ["full", "none"])
def test_an_adapter_can_be_switched_off(whole, name):
    assert load_recipe(whole, [f"adapter={name}"]).adapter is None
    assert load_recipe(whole, [f"adapter.method={name}"]).adapter is None


def test_a_method_can_be_given_as_an_object():
    from espalier.objectives.dpo import DPO

    assert given(objective=DPO(beta=0.5)).objective["beta"] == 0.5


def test_text_stays_text_though_it_looks_like_a_number():
    recipe = given("out=7", "eval_group=2024", "preset=none", "model=2024-01-01", "data='x y'")
    assert (recipe.out, recipe.model, recipe.data) == ("7", "2024-01-01", "x y")
    assert recipe.train == {"eval_group": "2024"}


def test_columns_can_be_mapped_on_the_command_line():
    recipe = given("data.columns.prompt=question", "data.format=alpaca")
    assert recipe.data == [{"path": "d", "columns": {"prompt": "question"}, "format": "alpaca"}]


def test_options_as_the_command_line_spells_them():
    assert given("--learning-rate=1e-4").train == {"learning_rate": 1e-4}


@pytest.mark.parametrize("missing", ["model", "data", "out", "objective"])
def test_what_is_missing_is_named(missing):
    with pytest.raises(RecipeError, match=rf"^no (\w+ )*({missing}|output)[^.]* given\. Name"):
        given(**{missing: None})


def test_a_run_to_start_from_brings_its_model():
    assert given(model=None, from_run="runs/sft").model == ""


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("lr=1", "no option named 'lr'. Did you mean 'learning_rate'?"),
        ("train.lr=1", "no option of [train] named 'lr'. Did you mean 'learning_rate'?"),
        ("num_train_epochs=1", "Did you mean 'epochs'?"),
        (
            "gradient_accumulation_steps=8",
            "Did you mean 'batch_size'? It counts the examples of a whole",
        ),
        ("bf16=true", "Did you mean 'dtype'?"),
        ("lora_r=8", "Did you mean 'rank'? 'rank' is an option of adapters/adalora and adapters/dora and"),
        ("rank=8", "'rank' is an option of adapters/adalora and adapters/dora and"),
        ("betta=1", "no option named 'betta'. Did you mean 'beta'?"),
        ("objective.betta=1", "no option of objectives/dpo named 'betta'. Did you mean 'beta'?"),
        ("objective.learning_rate=1", "'learning_rate' is an option of [train]."),
        ("adapter.rank=8", '[adapter] has no method. Add method = "...", one of adapters/'),
        ("objective=dppo", "no method of objectives named 'dppo'. Did you mean 'dpo'?"),
        ("objective={method=1}", "[objective]: method must be text, not 1."),
        ("objective=adapters/lora", "no method of objectives named 'adapters/lora'."),
        ("train=5", "[train] is a table of options, not 5."),
        ("train.epochs=many", "[train]: 'epochs' must be a number, not 'many'."),
        ("render.thinking=maybe", "[render]: 'thinking' is one of off, on, rows, not 'maybe'."),
        ("learning_rate", "'learning_rate' is no override. Write name=value"),
        ("data=[1]", "'data' is a path or tables with a path, not 1."),
        ("data=[{weight=1}]", "[[data]] needs a value for 'path' (str)."),
        ("data=[{path='a', wait=1}]", "no option of [[data]] named 'wait'. Did you mean 'weight'?"),
        ("model=[1]", "'model' must be text, not [1]."),
    ],
)
def test_a_wrong_override_is_one_sentence(override, sentence):
    with pytest.raises(RecipeError) as error:
        given(override)
    assert sentence in str(error.value)


def test_an_option_of_two_sections_has_to_be_written_in_full():
    with pytest.raises(RecipeError, match=r"of several sections\. Write objective\.dropout or adapter\.dropout"):
        given("dropout=0.1", objective="sft", adapter="lora")
    assert given("adapter.dropout=0.1", objective="sft", adapter="lora").adapter["dropout"] == 0.1


def test_several_data_tables_are_not_changed_by_one_override(whole):
    with pytest.raises(RecipeError, match=r"data\.format: 'data' is .*, not one table"):
        load_recipe(whole, ["data.format=alpaca"])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"model = 'm'\nout = ", "recipe.toml, line 2: Invalid value. A recipe is TOML"),
        (b"model = m", "recipe.toml, line 1: Invalid value."),
        (b"\xff\xfe", "recipe.toml: not a recipe, which is TOML in UTF-8."),
        (b"[objective]\nmethod = 'dppo'", "recipe.toml: no method of objectives named 'dppo'."),
        (b"[train]\nlr = 1", "recipe.toml: no option of [train] named 'lr'. Did you mean 'learning_rate'?"),
    ],
)
def test_a_file_that_is_no_recipe_names_file_and_line(tmp_path, text, sentence):
    file = tmp_path / "recipe.toml"
    file.write_bytes(text)
    with pytest.raises(RecipeError) as error:
        load_recipe(file)
    assert sentence in str(error.value)
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "none.toml")


def test_reading_a_recipe_imports_no_torch(whole):
    code = f"""
import sys
from espalier.recipe import load_recipe
load_recipe({str(whole)!r})
print("torch" in sys.modules)
"""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    assert found.stdout == "False\n"


class Preset:
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {"learning_rate": 1e-6, "beta": 0.1},
        "small": {"learning_rate": 5e-5, "epochs": 1.0, "beta": 0.2},
    }


@pytest.mark.parametrize(
    ("adapter", "rows", "asked", "taken"),
    [
        (None, 10_000, None, "paper"),
        (None, 9_999, None, "small"),
        ("lora", 10**6, None, "small"),
        ("lora", 10, "paper", "paper"),
    ],
)
def test_the_preset_follows_from_adapter_and_rows(monkeypatch, adapter, rows, asked, taken):
    monkeypatch.setattr(recipes, "load", lambda address: Preset)
    resolved, name = resolve_presets(given(adapter=adapter, preset=asked), rows)
    assert name == taken
    assert resolved.train["preset"] == taken
    assert resolved.train["learning_rate"] == Preset.presets[taken]["learning_rate"]
    assert resolved.objective == {"method": "objectives/dpo", "beta": Preset.presets[taken]["beta"]}


def test_given_options_win_over_a_preset(monkeypatch):
    monkeypatch.setattr(recipes, "load", lambda address: Preset)
    resolved, _ = resolve_presets(given("learning_rate=3", "beta=0.5"), 10)
    assert resolved.train == {"learning_rate": 3.0, "epochs": 1.0, "preset": "small"}
    assert resolved.objective["beta"] == 0.5
    assert resolve_presets(resolved, 10**6)[0] == resolved, "a resolved recipe resolves to itself"


def test_presets_that_are_not_there(monkeypatch):
    monkeypatch.setattr(recipes, "load", lambda address: Preset)
    with pytest.raises(RecipeError, match="no preset of objectives/dpo named 'big'"):
        resolve_presets(given(preset="big"), 10)
    monkeypatch.setattr(recipes, "load", lambda address: object)
    assert resolve_presets(given(), 10) == (given(), None)


def test_a_recipe_is_recorded_with_every_default():
    recipe = spelled_out(given("learning_rate=3", adapter="lora"))
    assert recipe.train["seed"] == 0 and recipe.train["learning_rate"] == 3.0
    assert recipe.optimizer["eps"] == 1e-8 and recipe.adapter["rank"] == 16 and recipe.objective["beta"] == 0.1
    assert spelled_out(recipe) == recipe
