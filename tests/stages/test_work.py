"""Which stages run, which are skipped and why, and what becomes of what was there."""

import json
from pathlib import Path

import pytest

from espalier.errors import RecipeError
from espalier.stages import work as module
from espalier.stages.recipe import load_stages
from espalier.stages.work import Work

TEXT = """
out = "o"
[values]
rows = "rows.txt"
[[stage]]
name = "world"
command = "make {rows} --out {out}/world"
[[stage]]
name = "sft"
command = "train {out}/world --out {out}/sft"
[[stage]]
name = "say"
command = "say {rows}"
after = ["sft"]
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rows.txt").write_text("1", encoding="utf-8")
    Path("r.toml").write_text(TEXT, encoding="utf-8")


def work(*overrides):
    return Work(load_stages("r.toml", overrides))


def act(stage, words):
    """Each command writes what it read."""
    for path in stage.writes:
        path.mkdir(exist_ok=True, parents=True)
        file = Path("rows.txt") if words[0] == "make" else Path("o/world/text")
        (path / "text").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")


def go(*overrides, stop=None, state="interrupted"):
    """Run what has to run, up to a stage that does not end; the names of what ran, and what was moved."""
    Path("o").mkdir(exist_ok=True)
    ran, moved = [], []
    doing = work(*overrides)
    for stage in doing.recipe.stages:
        if not doing.verdict(stage).runs:
            doing.skip(stage)
            continue
        begun = doing.begin(stage)
        moved += [str(aside) for _, aside in begun.moved]
        ran.append(" ".join(begun.words[:2]) if "--resume" in begun.words else stage.name)
        if stage.name == stop:
            if state:
                doing.end(stage, state, 1.0)
            break
        act(stage, begun.words)
        doing.end(stage, "done", 1.0)
    return ran, moved


def whys(*overrides):
    doing = work(*overrides)
    return [(v.runs, v.maybe, v.why) for v in doing.verdicts(doing.recipe.stages)]


def test_everything_runs_once_and_is_then_skipped():
    assert whys()[0] == (True, False, "it has not run yet") and not Path("o").exists()
    assert go() == (["world", "sft", "say"], [])
    assert go() == ([], []) and whys() == [(False, False, "nothing changed")] * 3


def test_a_changed_input_runs_what_needs_it_and_moves_the_old_aside():
    go()
    Path("rows.txt").write_text("2", encoding="utf-8")
    assert whys() == [
        (True, False, "rows.txt changed"),
        (True, True, "it needs world"),
        (True, False, "rows.txt changed"),
    ]
    assert go() == (["world", "sft", "say"], ["o/world.old-1", "o/sft.old-1"])
    assert Path("o/world.old-1/text").read_text(encoding="utf-8") == "1"
    Path("rows.txt").write_text("3", encoding="utf-8")
    assert go()[1] == ["o/world.old-2", "o/sft.old-2"]


def test_an_overridden_value_changes_the_command_and_the_same_result_stops_there():
    go()
    Path("copy.txt").write_text("1", encoding="utf-8")
    assert whys("rows=copy.txt")[0] == (True, False, "its command changed")
    assert go("rows=copy.txt")[0] == ["world", "say"]  # the world is the same, so nothing is trained again


def test_an_output_that_is_gone_or_changed_is_made_again():
    go()
    Path("o/sft/text").write_text("by hand", encoding="utf-8")
    assert whys()[1] == (True, False, "o/sft is not as it left it")
    assert go() == (["sft"], ["o/sft.old-1"])
    Path("o/sft").rename("elsewhere")
    assert whys()[1:] == [(True, False, "o/sft is gone"), (True, True, "it needs sft")]
    assert go() == (["sft"], [])


def test_another_version_runs_everything_again(monkeypatch):
    go()
    monkeypatch.setattr(module, "__version__", "9")
    assert whys()[0][2].startswith("espalier is 9 and was ") and go()[0] == ["world", "sft", "say"]


def test_what_is_in_the_way_is_never_overwritten():
    Path("o/world").mkdir(parents=True)
    (Path("o/world") / "mine").write_text("precious", encoding="utf-8")
    assert go()[1] == ["o/world.old-1"] and Path("o/world.old-1/mine").exists()


@pytest.mark.parametrize("state", ["interrupted", "failed", None])
def test_a_training_run_that_did_not_end_is_taken_up(state):
    assert go(stop="sft", state=state)[0] == ["world", "sft"]
    left({"state": "running"})
    assert go()[0] == ["train --resume", "say"] and go()[0] == []


def left(run):
    Path("o/sft").mkdir(exist_ok=True)
    Path("o/sft/run.json").write_text(json.dumps(run), encoding="utf-8")


def test_a_training_run_whose_input_has_changed_begins_anew():
    go(stop="sft")
    left({"state": "interrupted"})
    Path("rows.txt").write_text("2", encoding="utf-8")
    assert go() == (["world", "sft", "say"], ["o/world.old-1", "o/sft.old-1"])


def test_a_training_run_that_ended_before_that_was_written_down_is_done():
    go(stop="sft", state=None)
    left({"state": "finished"})
    assert go() == (["say"], []) and work().record.stages["sft"].state == "done"


def test_what_another_command_left_when_it_was_stopped_is_moved_aside():
    go(stop="world")
    Path("o/world").mkdir()
    assert whys()[0] == (True, False, "it was interrupted") and go()[1] == ["o/world.old-1"]


def test_asked_for_again_it_runs_now_or_next_time():
    go()
    doing = work()
    stages = doing.recipe.stages[1:]
    assert [v.why for v in doing.verdicts(doing.recipe.stages, stages)][1:] == ["it was asked for again"] * 2
    doing.again(stages)
    assert go() == (["sft", "say"], ["o/sft.old-1"]) and go()[0] == []


@pytest.mark.parametrize("stop", [None, "world"])
def test_a_stage_waits_for_those_it_needs(stop):
    if stop:
        go(stop=stop)
    doing = work()
    with pytest.raises(RecipeError, match="stage 'sft' needs 'world', which has not run yet"):
        doing.begin(doing.recipe.stage("sft"))


def test_digests_of_large_files_are_kept_while_there_are_such_files(monkeypatch):
    monkeypatch.setattr("espalier.stages.digests.LARGE", 1)
    go()
    assert sorted(Path(path).name for path in work().record.files) == ["rows.txt", "text", "text"]
    Path("o/sft/text").unlink()
    doing = work()
    doing.again([])
    assert len(work().record.files) == 2
