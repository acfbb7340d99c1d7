"""`espalier compare` on tiny models: a whole comparison, one that is killed, one that is stopped, and wrong input."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from espalier.cli import main, running
from espalier.comparison import doing
from espalier.errors import EspalierError
from espalier.evaluation import measure
from espalier.run import Run
from espalier.stages.process import Ended
from espalier.train import checkpoints
from espalier.train.reference import ReferenceCache
from tests.models_on_disk import pairs, save_model, write_rows

SMALL = ["--model", "model", "--data", "pairs.jsonl", "--out", "cmp", "--batch-size", "4", "eval_share=0.5"]
QUICK = [*SMALL, "dtype=float32", "--threads", "1", "eval_every=3", "save_every=1"]


def here(work):
    """In place of a process of its own."""
    try:
        return Ended(work(), False), ""
    except EspalierError as error:
        return Ended(2, False), str(error)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def folder(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(running, "HEAVY", ())
    monkeypatch.setattr(measure, "LONGEST", 3)
    monkeypatch.setattr(doing, "LONGEST", 3)
    Path("model").symlink_to(model)
    write_rows(Path("pairs.jsonl"), pairs())
    write_rows(Path("new.jsonl"), pairs(12, seed=5))
    return tmp_path


def compare(*words):
    return main(["compare", *words, *QUICK])


def steps(name):
    return [event["step"] for event in Run(Path("cmp", name)).metrics() if event["kind"] == "step"]


def test_a_whole_comparison_marks_what_fails_and_pays_the_reference_once(folder, monkeypatch, capsys):
    monkeypatch.setattr(doing, "apart", here)
    paid = []
    put = ReferenceCache.put
    monkeypatch.setattr(ReferenceCache, "put", lambda self, trees, v: [paid.append(len(trees)), put(self, trees, v)])
    words = ("dpo", "ipo:learning_rate=1e30", "kto", "reward_model", "--eval", "new.jsonl", "--answers", "2")
    assert compare(*words) == 1
    assert sum(paid) == 24  # each row once, for three that have a reference
    told = capsys.readouterr().out
    assert "12 rows to train on and 12 held back, the same for all" in told
    assert "ipo-learning_rate-1e30 failed: the loss became" in told and "reward_model: objectives/reward_model" in told
    assert "24 rows in" in told and "for dpo; read from the cache by kto." in told
    table = told[told.index("\nWhich is best cannot be said: on 12 rows chosen likelier") :].splitlines()
    assert max(map(len, (line for line in table if line.startswith(("start", "dpo", "kto"))))) <= 100
    found = json.loads(Path("cmp/compare.json").read_text(encoding="utf-8"))
    assert [run["name"] for run in found["runs"]] == ["dpo", "kto"] and set(found["problems"]) == {
        "ipo-learning_rate-1e30",
        "reward_model",
    }
    assert found["runs"][0]["tokens"] == found["tokens"] and found["runs"][0]["memory_gb"] > 0
    assert [part["about"] for part in found["measured"]] == ["new.jsonl", "12 rows held back"]
    page = Path("cmp/compare.html").read_text(encoding="utf-8")
    assert (
        page.index(found["verdict"])
        and "ipo-learning_rate-1e30: the loss" in page
        and page.count('class="sample"') == 2
    )

    assert compare(*words, "--metric", "logp_accuracy") == 1
    told = capsys.readouterr().out
    assert told.count("skipped: nothing changed") == 2 and "again: it failed" in told
    assert "chosen likelier than rejected, on new.jsonl" in told
    assert main(["evaluate", "cmp/kto", "--data", "new.jsonl", "--against", "cmp/dpo", "--max-tokens", "3"]) == 0
    assert main(["report", "cmp/dpo"]) == 0


def test_a_seed_more_trains_only_what_is_new(folder, monkeypatch, capsys):
    monkeypatch.setattr(doing, "apart", here)
    assert compare("dpo", "--vary", "beta=0.1,0.5") == 0
    assert compare("dpo", "--vary", "beta=0.1,0.5", "--seeds", "2") == 0
    told = capsys.readouterr().out
    assert told.count("skipped: nothing changed") == 2 and "4 of 4  dpo-beta-0.5-seed-1\n" in told
    assert steps("dpo-beta-0.1") == steps("dpo-beta-0.5-seed-1") == [1, 2, 3]
    assert Run(Path("cmp/dpo-beta-0.5-seed-1")).recipe.train["seed"] == 1
    found = json.loads(Path("cmp/compare.json").read_text(encoding="utf-8"))
    assert list(found["measured"][0]["seeds"]) == ["dpo-beta-0.1", "dpo-beta-0.5"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere libraries may not survive a fork")
def test_one_that_is_killed_is_marked_and_taken_up_again(folder, monkeypatch, capsys):
    save = checkpoints.save

    def dies(where, step, *rest, **options):
        save(where, step, *rest, **options)
        if step == 2 and "dpo" in str(where):
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "save", dies)
        assert compare("dpo", "simpo") == 1
    told = capsys.readouterr().out
    assert "dpo failed: it was killed by SIGKILL, perhaps for want of memory" in told and "only simpo" in told
    assert Run(Path("cmp/simpo")).state == "finished" and steps("dpo") == [1, 2]
    assert compare("dpo", "simpo") == 0
    assert steps("dpo") == [1, 2, 3] and "2 of 2  simpo  skipped" in capsys.readouterr().out


def test_ctrl_c_says_what_is_there_and_how_to_go_on(folder, monkeypatch, capsys):
    monkeypatch.setattr(doing, "apart", lambda work: (Ended(130, True), ""))
    assert compare("dpo", "simpo:beta=2.5", "--vary", "seed=1,2") == 130
    told = capsys.readouterr()
    assert "no candidate has been trained" in told.out and "2 of 4" not in told.out
    line = next(line for line in told.err.splitlines() if line.startswith("go on with: espalier compare "))
    assert "dpo simpo:beta=2.5" in line and "--vary seed=1,2" in line and "--out cmp" in line


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["dpo"], "nothing to compare with. Name two objectives or more"),
        (["dpo", "ipx"], "ipx: no method of objectives named 'ipx'. Did you mean 'ipo'?"),
        (["dpo", "ipo:tua=1"], "ipo-tua-1: no option named 'tua'. Did you mean 'tau'?"),
        (["dpo", "ipo", "--eval", "none.jsonl"], "none.jsonl"),
        (["dpo", "ipo", "--eval-limit", "3"], "--eval-limit is about the rows of --eval"),
        (["dpo", "ipo", "--metric", "length"], "neither more nor less of it is better"),
        (["dpo", "ipo", "--metric", "accuracy"], "no metric named 'accuracy'."),
        (["dpo", "ipo", "eval_share=0"], "there are no rows to measure on. Give --eval ROWS"),
        (["dpo", "ipo", "--out", "."], "is the folder of a run"),
        (["dpo", "ipo", "--out", "pairs.jsonl"], "a file is in the way. Choose another folder: --out FOLDER."),
        (["dpo", "ipo", "max_tokens=99999"], "dpo: max_tokens = 99999 is more than the model's context"),
    ],
)
def test_wrong_input_is_one_sentence_and_nothing_runs(folder, capsys, words, sentence):
    Path("run.json").write_text("{}", encoding="utf-8")
    assert main(["compare", *SMALL, *words]) == 2
    told = capsys.readouterr().err
    assert sentence in told and told.count("error:") == 1 and not Path("cmp").exists()
