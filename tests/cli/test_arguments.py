"""The command line, made into a recipe."""

import pytest

from espalier.cli.arguments import Words, guessed, named, recipe_of, resumed, take_apart, use_threads
from espalier.errors import RecipeError, RunError
from espalier.recipe import dump, load_recipe

GIVEN = {"model": "m", "data": "d.jsonl", "out": "r"}


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("line", "what", "overrides"),
    [
        ("dpo --rank 16 objective.beta=0.2", "dpo", ["rank=16", "objective.beta=0.2"]),
        ("--rank=16 dpo", "dpo", ["rank=16"]),
        ("--objective.beta 0.2", None, ["objective.beta=0.2"]),
        ("--eval-share 0.1 sft", "sft", ["eval_share=0.1"]),
        ("--activation-checkpointing sft", "sft", ["activation_checkpointing=true"]),
        ("--activation-checkpointing false sft", "sft", ["activation_checkpointing=false"]),
        ("sft --dropout", "sft", ["dropout=true"]),
        ("their:Method --dropout 3", "their:Method", ["dropout=3"]),
        ("sft --accept-dropped --seed 1", "sft", ["accept_dropped=true", "seed=1"]),
        ("sft --seed -1", "sft", ["seed=-1"]),
        ("", None, []),
    ],
)
def test_words_are_options_or_the_one_word(line, what, overrides):
    assert take_apart(line.split()) == Words(what, tuple(overrides))


def test_two_words_are_one_too_many():
    with pytest.raises(RecipeError, match="'sft' and 'dpo': give one objective"):
        take_apart(["sft", "dpo"])


def test_a_word_is_an_objective():
    recipe = recipe_of(Words("dpo", ("beta=0.3", "rank=4")), {**GIVEN, "adapter": "lora"})
    assert recipe.objective == {"method": "objectives/dpo", "beta": 0.3}
    assert recipe.adapter == {"method": "adapters/lora", "rank": 4}


def test_or_a_recipe_file_that_the_line_overrides(in_a_folder):
    (in_a_folder / "mine.toml").write_text(dump(recipe_of(Words("dpo", ()), GIVEN)), encoding="utf-8")
    recipe = recipe_of(Words("mine.toml", ("objective.beta=0.2",)), {"learning_rate": 1e-4, "out": "elsewhere"})
    assert (recipe.objective["beta"], recipe.train["learning_rate"], recipe.out) == (0.2, 1e-4, "elsewhere")
    with pytest.raises(RecipeError, match=r"missing\.toml: cannot be read"):
        recipe_of(Words("missing.toml", ()), {})


def test_columns_belong_to_the_rows():
    recipe = recipe_of(Words("sft", ()), {"data.columns": {"prompt": "question"}, **GIVEN})
    assert recipe.data == [{"path": "d.jsonl", "columns": {"prompt": "question"}}]


def test_a_typing_error_is_told():
    with pytest.raises(RecipeError, match="Did you mean 'model'"):
        recipe_of(Words("sft", ("modle=m",)), {"data": "d", "out": "r"})
    with pytest.raises(RecipeError, match="Did you mean 'dpo'"):
        recipe_of(Words("dop", ()), GIVEN)


def a_run(folder, **given):
    (folder / "r").mkdir()
    (folder / "r" / "recipe.toml").write_text(dump(recipe_of(Words("dpo", ()), {**GIVEN, **given})), encoding="utf-8")


def test_a_run_to_start_from_brings_its_model(in_a_folder):
    a_run(in_a_folder)
    given = {"from": "r", "data": "d.jsonl", "out": "r2"}
    assert recipe_of(Words("dpo", ()), given).model == "m"
    assert recipe_of(Words("dpo", ()), {**given, "model": "other"}).model == "other"
    (in_a_folder / "mine.toml").write_text('from = "r"\ndata = "d"\nout = "o"\nobjective = "sft"', encoding="utf-8")
    assert recipe_of(Words("mine.toml", ()), {}).model == "m"


def test_a_run_by_itself_asks_what_is_wanted(in_a_folder):
    a_run(in_a_folder)
    with pytest.raises(RunError, match="--resume --out r, or start --from it"):
        recipe_of(Words("r", ()), {})


@pytest.mark.parametrize(
    ("what", "given"),
    [(None, {"out": "r"}), ("r", {}), ("dpo", GIVEN), ("mine.toml", {"out": "r"}), (None, {"out": "./r/"})],
)
def test_going_on_needs_only_the_folder_and_takes_the_whole_command_too(in_a_folder, what, given):
    a_run(in_a_folder)
    assert resumed(Words(what, ()), given) == load_recipe("r/recipe.toml")


def test_going_on_changes_nothing(in_a_folder):
    a_run(in_a_folder)
    with pytest.raises(RunError, match="leave out what would change its objective and train"):
        resumed(Words(None, ("beta=0.5", "seed=3")), {"out": "r"})


def test_going_on_with_nothing():
    with pytest.raises(RunError, match=r"no run to go on with in 'nix'.*--resume --out RUN"):
        resumed(Words("sft", ()), {"out": "nix"})


def test_the_objective_that_nobody_names_is_that_of_the_rows(in_a_folder):
    (in_a_folder / "pairs.jsonl").write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n', encoding="utf-8")
    (in_a_folder / "rows.jsonl").write_text('{"question": "a", "answer": "b"}\n', encoding="utf-8")
    pairs = {"data": "pairs.jsonl"}
    assert guessed(Words(None, ("beta=0.2",)), pairs) == Words("dpo", ("beta=0.2",))
    assert guessed(Words("sft", ()), pairs).what == "sft"
    assert guessed(Words(None, ("objective.method=dpo",)), pairs).what is None
    assert guessed(Words(None, ()), {}).what is None
    asked = named(data="rows.jsonl", columns="prompt=question,completion=answer")
    assert guessed(Words(None, ()), asked).what == "sft"


def test_threads_are_what_the_machine_is_then_said_to_have(monkeypatch):
    from espalier.opening import physical_cores

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert use_threads(None) is None and physical_cores() == 1
    assert use_threads(3) == 3 and physical_cores() == 3
