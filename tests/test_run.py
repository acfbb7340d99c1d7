"""A run's folder, and what a name on the command line stands for."""

import json

import pytest

from espalier import run as runs
from espalier import tuning
from espalier.errors import ModelError, RunError
from espalier.run import Run, load, locate, machine, resume_command, versions, write_text
from tests import running
from tests.models_on_disk import recipe_of, save_model

quick = running.quick
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*gradient_checkpointing. is deprecated:FutureWarning"
)  # PEFT asks for it


@pytest.fixture
def run(tmp_path):
    made = Run(tmp_path)
    made.write("run.json", {"state": "running"})
    return made


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    write_text(tmp_path / "a", "old")
    monkeypatch.setattr(runs.Path, "replace", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_text(tmp_path / "a", "new")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a", "old")]


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="no run here"):
        Run.open(tmp_path)


def test_metrics_leave_out_a_line_that_was_cut_and_steps_to_be_done_again(run):
    events = [{"kind": "note", "step": 0}, {"kind": "step", "step": 1}, {"kind": "step", "step": 2}]
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (run.folder / "metrics.jsonl").write_text(lines + '{"kind": "st', encoding="utf-8")
    assert run.metrics() == events
    run.forget_after(1)
    assert run.metrics() == events[:2]
    assert (run.folder / "metrics.jsonl").read_text(encoding="utf-8").count("\n") == 2


def test_a_run_without_metrics_has_none(run):
    assert run.metrics() == []
    run.forget_after(0)
    assert run.state == "running" and run.read("nothing.json", 3) == 3


def test_what_a_run_was_made_with_is_recorded():
    assert versions().keys() >= {"python", "torch", "transformers"}
    found = machine()
    assert found["cores"] >= 1 and found["memory_gb"] > 0 and found["cpu"]


def test_a_run_an_adapter_a_model_and_an_id_are_located(quick):
    made = tuning.train(recipe_of(quick, adapter="lora", max_steps=1, render={"thinking": "on"}))
    base = str((quick / "model").resolve())
    found = locate(made.folder)
    assert (found.model, found.adapter, found.thinking) == (base, str(made.result), "on")
    assert found.run == made
    assert (locate(made.result).model, locate(made.result).thinking) == (base, "off")
    assert locate(quick / "model").adapter is None
    assert locate("someone/model").model == "someone/model"
    with pytest.raises(ModelError, match="no such folder"):
        locate(quick / "nowhere")


def test_a_run_that_is_not_done_says_how_to_go_on(run):
    with pytest.raises(RunError, match=r"no result yet \(it is running\)") as caught:
        locate(run.folder)
    assert resume_command(run) in str(caught.value)


def test_a_run_is_loaded_with_its_base(quick):
    made = tuning.train(recipe_of(quick, adapter="lora", max_steps=1))
    loaded = load(made.folder)
    assert loaded.base is not None and str(made.result) in loaded.describe
    assert load(save_model(quick / "alone")).base is None
