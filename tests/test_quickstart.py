"""The world of the quickstart, its script on a much shorter run, and the method from outside in the README."""

import filecmp
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from espalier.catalogue import card
from espalier.tuning import train
from tests.models_on_disk import pairs, recipe_of

ROOT = Path(__file__).parents[1]
FILES = ("sft.jsonl", "dpo.jsonl", "new_sft.jsonl", "new_dpo.jsonl", "model/tokenizer.json", "model/model.safetensors")


@pytest.fixture(autouse=True)
def examples(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))
    for name in ("DATA", "MODEL"):
        monkeypatch.delenv(name, raising=False)


def rows(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def test_the_world_is_the_same_every_time_and_asks_about_strangers(tmp_path):
    import world

    for name in ("a", "b"):
        world.make(tmp_path / name)
    assert filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", FILES, shallow=False)[0] == list(FILES)

    known, new = (rows(tmp_path / "a" / name) for name in ("sft.jsonl", "new_sft.jsonl"))
    people = [{row["prompt"].split()[0] for row in some} - {"A"} for some in (known, new)]
    assert people[0] and people[1] and not people[0] & people[1]
    assert all(row["completion"] in row["prompt"] for row in new), "the answer can be read"
    prompts = [{row["prompt"] for row in rows(tmp_path / "a" / name)} for name in ("dpo.jsonl", "new_dpo.jsonl")]
    assert not prompts[0] & prompts[1]


@pytest.fixture
def typed(monkeypatch):
    """The commands that the script would run, which CI runs for the README; one whose data is missing fails."""
    import quickstart

    found = []

    def run(command, **_):
        found.append(command[len(quickstart.ESPALIER) :])
        return subprocess.CompletedProcess(command, 2 if "missing.jsonl" in command else 0)

    monkeypatch.setattr(quickstart.subprocess, "run", run)
    return found


def test_own_rows_and_model(monkeypatch, tmp_path, typed, capsys):
    import quickstart

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA", "my rows.jsonl")
    monkeypatch.setenv("MODEL", "model")
    quickstart.main()
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("$ ")]
    assert shown == [
        "$ espalier check sft --model model --data 'my rows.jsonl'",
        "$ espalier train sft --model model --data 'my rows.jsonl' --adapter lora --out runs/own",
    ]
    (tmp_path / "runs" / "own").mkdir(parents=True)
    quickstart.main()
    assert typed[-1][-1] == "runs/own-2", "what is there is kept"


@pytest.mark.parametrize(
    ("environment", "end"),
    [({"DATA": "rows.jsonl"}, "Give both"), ({"DATA": "missing.jsonl", "MODEL": "model"}, "2")],
)
def test_it_ends_where_something_is_wrong(monkeypatch, typed, environment, end):
    import quickstart

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=end):
        quickstart.main()
    assert len(typed) < 2


def test_what_it_types_for_its_own_world_is_understood(monkeypatch, tmp_path, typed, capsys):
    import quickstart

    from espalier.cli.arguments import recipe_of, take_apart

    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the script sets it
    monkeypatch.chdir(tmp_path)
    quickstart.main()
    assert [words[0] for words in typed] == ["check", "train", "evaluate", "train", "evaluate", "chat"]
    assert all((tmp_path / words[words.index("--data") + 1]).is_file() for words in typed if "--data" in words)
    for words in typed:
        if words[0] == "train":
            assert recipe_of(take_apart(words[1:]), {}).objective["method"] == f"objectives/{words[1]}"
    assert "espalier check --data YOUR.jsonl" in capsys.readouterr().out


@pytest.mark.slow
def test_learns_to_read_and_to_greet(tmp_path):
    import world

    from espalier import evaluate

    script = [sys.executable, str(ROOT / "examples" / "quickstart.py")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(script, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    folder = tmp_path / "runs" / "quickstart"
    read = evaluate(folder / "sft", folder / "new_sft.jsonl", max_tokens=16).metrics
    assert read["exact_match"].value > 0.9
    greet = evaluate(folder / "dpo", folder / "new_dpo.jsonl", generate=False).metrics
    assert greet["reward_accuracy"].value > 0.95 and greet["logp_accuracy"].value > 0.95
    assert any(greeting in done.stdout.partition("$ echo")[2] for greeting in world.POLITE)


def test_formula_hinge():
    from hinge import hinge_loss

    # leads of 0, 2 and 7 nats, 5 are wanted
    got = hinge_loss(torch.tensor([0.0, 2.0, 4.0]), torch.tensor([0.0, 0.0, -3.0]), margin=5.0)
    assert got.tolist() == [5.0, 3.0, 0.0]


def test_learns_from_a_method_outside_the_package(tmp_path):
    assert card("hinge:Hinge").paper == "arXiv:2305.10425"
    options = {"learning_rate": 3e-3, "epochs": 4.0, "warmup": 0.1, "adapter": "lora"}
    run = train(recipe_of(tmp_path, "hinge:Hinge", data=_pairs(tmp_path), **options))
    steps = [event for event in run.metrics() if event["kind"] == "step"]
    assert math.isclose(steps[0]["loss"], 5.0, abs_tol=1e-4), "an untouched policy has no lead"
    assert steps[-1]["loss"] < 4.0 and steps[-1]["accuracy"] == 1.0


def _pairs(folder):
    file = folder / "pairs.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in pairs()), encoding="utf-8")
    return file
