"""The verbs from end to end, on a tiny model."""

import io
import json

import pytest

from espalier.cli import main
from espalier.run import Run
from tests.models_on_disk import answers, pairs, save_model, write_rows

SMALL = ["--batch-size", "4", "--max-steps", "3", "dtype=float32", "--threads", "1", "--eval-share=0.2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a model, rows, and a run over them: LoRA and SFT."""
    folder = tmp_path_factory.mktemp("work")
    save_model(folder / "model")
    write_rows(folder / "rows.jsonl", answers())
    write_rows(folder / "pairs.jsonl", pairs())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("ESPALIER_CACHE", str(folder / "cache"))
        patch.setattr("espalier.opening.physical_cores", lambda: 1)  # tests share the machine
        line = [
            "train",
            "sft",
            "--model",
            "model",
            "--data",
            "rows.jsonl",
            "--out",
            "run",
            "--adapter",
            "lora",
            "rank=2",
        ]
        assert main([*line, *SMALL]) == 0
        yield folder


def test_check_needs_no_objective_and_writes_no_run(folder, capsys):
    assert main(["check", "--model", "model", "--data", "pairs.jsonl"]) == 0
    printed = capsys.readouterr().out
    assert "24 read" in printed and "[[" in printed and not (folder / "-").exists()


def test_check_speaks_json(folder, capsys):
    assert main(["check", "sft", "--model", "model", "--data", "rows.jsonl", "--json", "--limit", "10"]) == 0
    assert json.loads(capsys.readouterr().out)["read"] == 10


def test_check_stops_where_training_would(folder, capsys):
    line = ["check", "sft", "--model", "model", "--data", "rows.jsonl", "--max-tokens", "40"]
    assert main(line) == 2
    told = capsys.readouterr()
    assert "too long" in told.out and "would be dropped" in told.err
    assert main([*line, "--accept-dropped"]) == 0


def test_a_run_leaves_a_report(folder, capsys):
    run = Run.open(folder / "run")
    assert run.state == "finished" and (run.result / "adapter_config.json").exists()
    assert run.recipe.adapter["rank"] == 2 and run.recipe.train["max_steps"] == 3
    assert main(["report", "run"]) == 0
    path, sentence = capsys.readouterr().out.splitlines()
    assert path == "run/report.html" and "with 95 % confidence" in sentence


def test_the_run_is_the_start_of_another(folder, capsys):
    assert main(["train", "dpo", "--from", "run", "--data", "pairs.jsonl", "--out", "second", *SMALL]) == 0
    printed = capsys.readouterr().out
    assert "training 1 of 3  loss 0.693" in printed and "accuracy" in printed
    assert main(["train", "--resume", "--out", "second"]) == 2
    assert "this run is finished" in capsys.readouterr().err


def test_a_model_is_measured_alone_and_against_its_base(folder, capsys):
    line = ["evaluate", "run", "--data", "rows.jsonl", "--limit", "12", "--max-tokens", "4"]
    assert main(line) == 0
    alone = capsys.readouterr().out
    assert "95 % interval" in alone and "perplexity per token" in alone
    assert main([*line, "--against", "base", "--out", "found.json"]) == 0
    beside = capsys.readouterr().out
    assert "change" in beside and "Gained: " in beside
    found = json.loads((folder / "found.json").read_text())
    assert found["before"]["rows"] == found["after"]["rows"] == 12 and found["differences"]


def test_a_model_by_itself_has_no_base(folder, capsys):
    assert main(["evaluate", "model", "--data", "rows.jsonl", "--against", "base"]) == 2
    assert "model is a model by itself" in capsys.readouterr().err


def test_talking_to_a_run_and_its_base(folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("1 odd number\n/reset\n2\n/quit\n"))
    assert main(["chat", "run", "--against", "base", "--max-tokens", "4", "--temperature", "0"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("run:\n") == printed.count("base:\n") == 2 and "forgotten" in printed
