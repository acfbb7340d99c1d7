"""`espalier run`: what it checks, what it shows and how it ends, with stages that are acted and with real ones."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from espalier.cli import main, running
from espalier.errors import RecipeError, RunError
from espalier.run import Run
from espalier.stages.process import Ended
from espalier.stages.record import locked
from tests import running as runs
from tests.models_on_disk import answers, pairs, save_model, write_rows

quick = runs.quick
TEXT = """
out = "o"
report = "{out}/page.html"
next = "espalier chat {out}/sft"
[values]
rows = "rows.jsonl"
steps = 2
[[stage]]
name = "sft"
why = "Teach it."
command = "train sft --model model --data {rows} --max-steps {steps} --dtype float32 --threads 1 --out {out}/sft"
[[stage]]
name = "dpo"
command = "train dpo --from {out}/sft --data pairs.jsonl --max-steps 2 --dtype float32 --threads 1 --out {out}/dpo"
[[stage]]
name = "measure"
command = "evaluate {out}/dpo --data {rows} --limit 2 --max-tokens 4 --out {out}/measure.json"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(running, "HEAVY", ())
    write(TEXT)
    write_rows(Path("rows.jsonl"), answers())
    write_rows(Path("pairs.jsonl"), pairs())
    return tmp_path


def write(text):
    Path("r.toml").write_text(text, encoding="utf-8")


class Acted:
    """In place of real commands: writes what --out names, and ends as told."""

    def __init__(self, **codes):
        self.codes, self.ran = codes, []

    def __call__(self, words):
        out = Path(words[words.index("--out") + 1])
        self.ran.append(out.name)
        ended = self.codes.get(out.stem, Ended(0, False))
        if not ended.code:
            out.write_text("made", encoding="utf-8")
        return ended


def run(*overrides, acted=None, **options):
    acted = acted or Acted()
    return running.run("r.toml", overrides, execute=acted, **options), acted.ran


def test_stages_are_announced_as_typed_run_once_and_summed_up(folder, capsys):
    Path("o").mkdir()
    Path("o/page.html").write_text("", encoding="utf-8")
    assert run() == (0, ["sft", "dpo", "measure.json"])
    printed = capsys.readouterr().out
    assert "1 of 3  sft  Teach it.\n$ espalier train sft --model model --data rows.jsonl --max-steps 2" in printed
    assert "\ndpo      done  0 s\n" in printed and "\ntotal" in printed
    assert "report      o/page.html\nnext        espalier chat o/sft\n" in printed
    assert run() == (0, [])
    assert "2 of 3  dpo  skipped: nothing changed\n" in capsys.readouterr().out


def test_a_value_changes_what_names_it_and_the_old_is_moved_aside(folder, capsys):
    run()
    assert run("steps=3") == (0, ["sft"])
    assert "again: its command changed\no/sft was there: it is o/sft.old-1 now\n$" in capsys.readouterr().out


def test_a_dry_run_says_why_and_does_nothing(folder, capsys):
    assert run(dry_run=True) == (0, []) and not Path("o").exists()
    run()
    capsys.readouterr()
    assert run("steps=3", dry_run=True) == (0, [])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 of 3  sft  runs: its command changed" and "--max-steps 3" in lines[1]
    assert lines[2] == "2 of 3  dpo  may run: it needs sft" and len(lines) == 6
    run(dry_run=True, start="dpo")
    assert capsys.readouterr().out.splitlines()[0] == "1 of 3  sft  skipped: nothing changed"


def test_from_a_stage_and_only_a_stage(folder):
    with pytest.raises(RecipeError, match="stage 'dpo' needs 'sft', which has not run yet"):
        run(only="dpo")
    run()
    assert run(start="dpo") == (0, ["dpo", "measure.json"])
    assert run(only="sft") == (0, []) and run(only="dpo", start="dpo") == (0, ["dpo"])
    with pytest.raises(RecipeError, match=r"no stage named 'dop'\. Did you mean 'dpo'\?"):
        run(only="dop")


@pytest.mark.parametrize(
    ("ended", "code", "sentence"),
    [
        (Ended(2, False), 2, "stage 'dpo' failed (exit code 2). Go on with: espalier run r.toml 'rows=rows.jsonl'"),
        (Ended(130, True), 130, "stage 'dpo' was stopped. Go on with"),
        (Ended(0, True), 130, "stopped after stage 'dpo', which is done. Go on with"),
        (Ended(137, False), 137, "stage 'dpo' was killed by SIGKILL, perhaps for want of memory. Go on with"),
        (Ended(139, False), 139, "stage 'dpo' was killed by SIGSEGV. Go on with"),
    ],
)
def test_a_stage_that_does_not_end_well_ends_the_run(folder, capsys, ended, code, sentence):
    assert run("rows=rows.jsonl", acted=Acted(dpo=ended)) == (code, ["sft", "dpo"])
    assert sentence.replace("'rows=rows.jsonl'", "rows=rows.jsonl") in capsys.readouterr().err
    left = ["measure.json"] if ended.code == 0 else ["dpo", "measure.json"]
    assert run("rows=rows.jsonl") == (0, left)


def test_two_runs_at_once_are_refused(folder):
    with locked(Path("o")), pytest.raises(RunError, match="another `espalier run` is at work there"):
        run()


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("evaluate {out}", "evaluat {out}", "stage 'measure': no command named 'evaluat'. Did you mean 'evaluate'?"),
        ("--limit 2", "--limti 2", "stage 'measure': No such option: --limti"),
        ("--limit 2", "--limit many", "stage 'measure': Invalid value for '--limit'"),
        (
            "--data {rows} --limit",
            "--limit",
            "stage 'measure': Missing option '--data'. See `espalier evaluate --help`.",
        ),
        ("--limit 2", "--help", "stage 'measure': `espalier evaluate` would only print its help."),
        ("train dpo", "train dop", "stage 'dpo': no method of objectives named 'dop'. Did you mean 'dpo'?"),
        ("pairs.jsonl --max-steps 2", "pairs.jsonl --bta 2", "stage 'dpo': "),
        ("pairs.jsonl --max-steps", "pairs.jsonl --lr", "Did you mean 'learning_rate'?"),
        ("evaluate {out}/dpo", "chat {out}/dpo", "`espalier chat` is no stage: it waits for what is typed."),
        ("evaluate {out}/dpo", "run r.toml", "`espalier run` is no stage"),
    ],
)
def test_every_command_is_checked_before_the_first_runs(folder, old, new, sentence):
    write(TEXT.replace(old, new))
    with pytest.raises(RecipeError, match=r"^r\.toml, stage") as error:
        run()
    assert sentence in str(error.value) and not Path("o").exists()


def test_a_recipe_that_a_stage_writes_is_not_looked_for(folder):
    write(TEXT.replace("train dpo --from", "train {out}/sft/recipe.toml --from"))
    assert run()[0] == 0


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("run", "no recipe given. Name its file"),
        ("run none.toml", "none.toml: cannot be read"),
        ("run r.toml stpes=3", "no value named 'stpes'. Did you mean 'steps'?"),
        ("run r.toml --stpes 3", "no value named 'stpes'. Did you mean 'steps'?"),
        ("run r.toml s.toml", "give one objective or recipe file"),
        ("run r.toml --from nothing", "no stage named 'nothing'"),
        ("run single.toml", "single.toml: this is the recipe of a single run. Type: espalier train single.toml"),
    ],
)
def test_the_command_line(folder, capsys, line, sentence):
    Path("single.toml").write_text('out = "o"\n[objective]\nmethod = "dpo"\n', encoding="utf-8")
    assert main(line.split()) == 2
    told = capsys.readouterr().err
    assert sentence in told and told.count("\n") == 1


@pytest.fixture
def real(folder, quick):
    save_model(folder / "model")
    return lambda words: Ended(main(words), False)


def test_real_stages_run_and_are_skipped(real, capsys):
    assert running.run("r.toml", execute=real) == 0
    assert "report      o/sft/report.html\n            o/dpo/report.html\n" in capsys.readouterr().out
    assert running.run("r.toml", execute=real) == 0
    assert capsys.readouterr().out.count("skipped: nothing changed") == 3
    write_rows(Path("pairs.jsonl"), pairs(20))
    assert running.run("r.toml", execute=real) == 0
    assert "1 of 3  sft  skipped" in capsys.readouterr().out and Path("o/dpo.old-1/run.json").exists()


def test_a_real_stage_that_fails_is_named_and_leaves_the_rest(real, capsys):
    Path("pairs.jsonl").write_text("{", encoding="utf-8")
    assert running.run("r.toml", execute=real) == 2
    told = capsys.readouterr()
    assert "error: pairs.jsonl" in told.err and "stage 'dpo' failed (exit code 2)." in told.err
    assert "3 of 3" not in told.out
    write_rows(Path("pairs.jsonl"), pairs())
    assert running.run("r.toml", execute=real) == 0 and "1 of 3  sft  skipped" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_was_ended_in_a_training_goes_on_with_no_step_lost_or_repeated(folder, how):
    save_model(folder / "model")
    write(TEXT.replace("--max-steps {steps}", "--max-steps {steps} --epochs 99 --save-every 5 --adapter lora"))
    # so many steps that it is still under way when the signal comes, however busy the machine is
    line = [sys.executable, "-m", "espalier.cli", "run", "r.toml", "steps=150", "--only", "sft"]
    environment = {**os.environ, "ESPALIER_CACHE": str(folder / "cache"), "PYTHONPATH": str(Path(__file__).parents[2])}
    process = subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and not list(Path("o/sft/checkpoints").glob("step-*")):
        time.sleep(0.01)
    process.send_signal(how)
    process.communicate(timeout=120)  # until the stage has ended, too
    assert process.returncode == (130 if how == signal.SIGINT else -how)
    goes_on = subprocess.run(line, env=environment, check=True, capture_output=True, text=True)
    assert "$ espalier train --resume --out o/sft" in goes_on.stdout
    assert [event["step"] for event in Run(Path("o/sft")).metrics() if event["kind"] == "step"] == list(range(1, 151))
