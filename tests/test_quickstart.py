"""The recipes of `make quickstart`, the rows they speak of, and the method from outside in the README."""

import json
import math
import re
import subprocess
from pathlib import Path

import pytest
import torch

from espalier.catalogue import card
from espalier.cli import main
from espalier.cli.running import check
from espalier.errors import EspalierError
from espalier.evaluation.questions import accepted
from espalier.stages.process import Ended
from espalier.stages.recipe import load_stages
from espalier.tuning import train
from tests.models_on_disk import pairs, recipe_of, save_model, write_rows

ROOT = Path(__file__).parents[1]
QUICKSTART, OWN = ROOT / "recipes" / "quickstart.toml", ROOT / "recipes" / "own.toml"


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The world of the quickstart, with its index."""
    out = tmp_path_factory.mktemp("quickstart") / "out"
    recipe = load_stages(QUICKSTART, [f"out={out}"])
    for name in ("world", "index"):
        assert main(recipe.stage(name).words) == 0
    return recipe


def test_every_stage_is_understood_and_names_its_numbers_and_its_type():
    recipe = load_stages(QUICKSTART)
    check(recipe)
    for stage in recipe.stages:
        assert stage.why.endswith((".", ":"))
        if "--model" in stage.words or stage.words[0] in ("train", "evaluate"):
            assert stage.words[stage.words.index("--dtype") + 1] == "float32", "the same numbers every time"


def test_the_questions_are_of_the_world_and_what_they_need_is_found(world, capsys):
    rows = [json.loads(line) for line in (world.out / "world/test/questions_unseen.jsonl").read_text().splitlines()]
    known = {row["question"]: row for row in rows}
    kinds = {}
    for stage in world.stages:
        if stage.words[0] == "ask":
            question, kb = stage.words[2], stage.words[1]
            kinds[stage.name] = known[question]["kind"]
            capsys.readouterr()
            assert main(["ask", kb, question, "--json"]) == 0
            found = {passage["document"] for passage in json.loads(capsys.readouterr().out)["passages"]}
            assert found >= set(known[question]["gold"])
            assert accepted(known[question]) or kinds[stage.name] == "unanswerable"
    assert kinds == {"search": "single", "ask": "single", "ask-two-steps": "comparison", "ask-nothing": "unanswerable"}


def test_every_file_that_a_stage_reads_is_there(world):
    read = [word for stage in world.stages for word in stage.words if word.startswith(f"{world.out}/world/")]
    assert len(read) >= 5 and all(Path(word).exists() for word in read)


@pytest.mark.parametrize(("rows", "objective"), [(pairs(24), "dpo"), ([{"prompt": "a", "completion": "b"}], "sft")])
def test_own_rows_decide_what_is_done(folder, rows, objective):
    from espalier.cli.arguments import guessed, named, recipe_of, take_apart

    file = write_rows(folder / "rows.jsonl", rows)
    recipe = load_stages(OWN, [f"data={file}", "model=model"])
    check(recipe)
    words = list(recipe.stage("tune").words)
    assert words[:5] == ["train", "--model", "model", "--data", str(file)]
    given = named(model="model", data=str(file), adapter="lora", out="runs/own")
    assert recipe_of(guessed(take_apart([]), given), given).objective["method"] == f"objectives/{objective}"


def test_own_rows_are_looked_at_and_tuned_on(folder, monkeypatch, capsys):
    monkeypatch.setattr("espalier.opening.physical_cores", lambda: 1)
    model, data = save_model(folder / "model"), write_rows(folder / "rows.jsonl", pairs(40))
    from espalier.cli import running

    code = running.run(str(OWN), [f"data={data}", f"model={model}"], execute=lambda words: Ended(main(words), False))
    printed = capsys.readouterr().out
    assert code == 0 and "read as preference pairs" in printed and "espalier chat runs/own/tuned" in printed
    assert (folder / "runs/own/tuned/report.html").is_file()


@pytest.mark.parametrize(
    ("rows", "model", "sentence"), [(pairs(4), "", "no model given"), ([], "m", "rows.jsonl")], ids=["model", "rows"]
)
def test_own_rows_need_a_model_and_must_be_some(folder, rows, model, sentence):
    with pytest.raises(EspalierError, match=re.escape(sentence)):
        check(load_stages(OWN, [f"data={write_rows(folder / 'rows.jsonl', rows)}", f"model={model}"]))


def test_own_rows_must_be_there(folder, capfd):
    assert main(["run", str(OWN), "data=nowhere.jsonl", "model=m"]) == 2
    assert "there is no file or folder 'nowhere.jsonl'" in capfd.readouterr().err


@pytest.mark.parametrize("given", ["DATA=rows.jsonl", "MODEL=model"])
def test_make_wants_both(given):
    done = subprocess.run(
        ["make", "-C", ROOT, "quickstart", given, "-o", ".venv/.installed"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "Give both: make quickstart DATA=rows.jsonl MODEL=FOLDER_OR_ID" in done.stderr


@pytest.mark.slow
def test_the_quickstart_teaches_sums_and_manners(folder, capsys):
    from espalier.cli import running

    assert running.run(str(QUICKSTART)) == 0
    cells = {
        (name, cell["target"], cell["condition"]): cell["evaluation"]["metrics"]
        for name in ("answers", "manners", "sums")
        for cell in json.loads((folder / "runs/quickstart" / f"{name}.json").read_text())["cells"]
    }
    right = {key[1:]: metrics["exact_match"]["value"] for key, metrics in cells.items() if key[0] == "answers"}
    assert right["sprout", "closed"] <= 0.1 < right["sprout", "index"]
    solved = {key[1]: metrics["exact_match"]["value"] for key, metrics in cells.items() if key[0] == "sums"}
    assert solved["sft"] > solved["sprout"] + 0.1
    likelier = {key[1]: metrics["mean_logp_accuracy"]["value"] for key, metrics in cells.items() if key[0] == "manners"}
    assert likelier["dpo"] > likelier["sprout"] + 0.1


def test_formula_hinge():
    from hinge import hinge_loss

    # leads of 0, 2 and 7 nats, 5 are wanted
    got = hinge_loss(torch.tensor([0.0, 2.0, 4.0]), torch.tensor([0.0, 0.0, -3.0]), margin=5.0)
    assert got.tolist() == [5.0, 3.0, 0.0]


def test_learns_from_a_method_outside_the_package(tmp_path):
    assert card("hinge:Hinge").paper == "arXiv:2305.10425"
    options = {"learning_rate": 3e-3, "epochs": 4.0, "warmup": 0.1, "adapter": "lora"}
    data = write_rows(tmp_path / "pairs.jsonl", pairs())
    run = train(recipe_of(tmp_path, "hinge:Hinge", data=data, **options))
    steps = [event for event in run.metrics() if event["kind"] == "step"]
    assert math.isclose(steps[0]["loss"], 5.0, abs_tol=1e-4), "an untouched policy has no lead"
    assert steps[-1]["loss"] < 4.0 and steps[-1]["accuracy"] == 1.0
