"""`espalier train`, with a run that is acted."""

import pytest

from espalier.cli import main
from espalier.evaluation.report import write_report
from espalier.run import Run
from espalier.train.loop import Event
from tests.cli.test_progress import STEP
from tests.evaluation.runs import difference, write_run
from tests.models.scorers import save_decoder

LINE = ["train", "dpo", "--model", "m", "--data", "d.jsonl", "--out", "r", "--rank", "4", "--adapter", "lora"]


@pytest.fixture
def acted(tmp_path, monkeypatch):
    """Let `espalier train` run what the test says; what it was told is kept."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    told = {}

    def act(play, **run):
        def train(recipe, *, resume, listen, stop):
            told.update(recipe=recipe, resume=resume)
            folder = write_run(tmp_path / "r", **run)
            play(listen, stop)
            write_report(folder)
            return Run("r" and folder)

        monkeypatch.setattr("espalier.tuning.train", train)
        return told

    return act


def whole(listen, stop):
    listen(Event("estimate", 0, {"steps": 2}))
    listen(Event("step", 2, STEP))
    listen(Event("end", 2, {}))


def test_a_run_ends_with_what_it_gained_and_what_to_type_next(acted, capsys, tmp_path):
    told = acted(whole, differences=[difference("F1")])
    assert main(LINE) == 0
    printed = capsys.readouterr().out
    assert told["recipe"].adapter["rank"] == 4 and not told["resume"]
    assert "training 2 of 2" in printed and "outcome     Gained: F1 0.500 to 0.700" in printed
    assert f"espalier chat {tmp_path / 'r'} --against base" in " ".join(printed.split()) and "report.html" in printed


def test_a_run_that_was_stopped_says_how_to_go_on(acted, capsys):
    acted(whole, state="interrupted")
    assert main(LINE) == 130
    told = capsys.readouterr()
    assert "after step 2, which is saved" in told.out and "espalier train --resume --out" in " ".join(told.out.split())
    assert told.err.strip() == "stopped"


def test_going_on_is_asked_of_the_run(acted, capsys):
    told = acted(whole)
    assert main(LINE) == 0
    assert main(["train", "--resume", "--out", "r"]) == 0
    assert told["resume"] and told["recipe"].out == "r"


@pytest.mark.parametrize("saved", [True, False])
def test_a_second_ctrl_c_still_says_how_to_go_on_if_anything_is_saved(acted, capsys, saved):
    def play(listen, stop):
        listen(Event("step", 1, STEP))
        if saved:
            listen(Event("save", 1, {"path": "p"}))
        raise KeyboardInterrupt

    acted(play)
    assert main(LINE) == 130
    told = capsys.readouterr().err
    assert ("go on with: espalier train --resume --out r" in told) == saved and told.endswith("stopped\n")


def test_another_rank_prints_nothing(acted, capsys):
    acted(lambda listen, stop: None)
    assert main(LINE) == 0
    assert capsys.readouterr().out == ""


def test_a_reward_model_is_measured_and_not_talked_to(acted, capsys, tmp_path):
    save_decoder(tmp_path / "r" / "model")
    acted(whole)
    assert main(["train", "reward_model", *LINE[2:8]]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert f"espalier evaluate {tmp_path / 'r'} --data NEW_PAIRS.jsonl" in printed and "espalier chat" not in printed
