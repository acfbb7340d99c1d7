"""`espalier curate` as it is typed: rows made, counted and written; stopped, failed and killed, it goes on."""

import json
import os
import signal
from pathlib import Path

import pytest

from espalier import collecting
from espalier.answering import Answering
from espalier.cli import main
from espalier.cli.running import check
from espalier.contracts import Scores
from espalier.errors import ModelError, RecipeError
from espalier.lm.scripted import Scripted
from espalier.models import scoring
from espalier.rows import read
from espalier.stages.process import forked
from espalier.stages.recipe import load_stages
from tests.lm.server import Reply, Server
from tests.models_on_disk import save_model, write_rows

SUMS = [{"prompt": f"{n} + 1?", "answer": str(n + 1)} for n in range(6)]
SAMPLE = ["curate", "rejection_sampling", "--data", "sums.jsonl", "--lm", "m", "--scorer", "exact_answer", "samples=2"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))
    write_rows(Path("sums.jsonl"), SUMS)
    return tmp_path


@pytest.fixture
def said(monkeypatch):
    """A model that gives the right sum and a wrong one in turn; what `act` does happens before each answer."""
    asked = []

    class Adding(Scripted):
        act = staticmethod(lambda number: None)

        def __init__(self):
            super().__init__(self.reply)

        def reply(self, prompt):
            self.act(len(asked))
            asked.append(prompt)
            number = int(prompt.split()[0])
            return f"{number} + 1 = {number + 1 + (len(asked) + 1) % 2}\nAnswer: {number + 1 + (len(asked) + 1) % 2}"

    lm = Adding()
    lm.asked = asked
    monkeypatch.setattr(Answering, "open", lambda self, name: lm)
    return lm


def rows(file):
    return [json.loads(line) for line in Path(file).read_text("utf-8").splitlines()]


def test_answers_and_pairs_go_to_a_file_each(said, capsys):
    assert main([*SAMPLE, "--out", "kept.jsonl"]) == 0
    kept, pairs = rows("kept.jsonl"), rows("kept.pairs.jsonl")
    assert [row["completion"] for row in kept][:2] == ["0 + 1 = 1\nAnswer: 1", "1 + 1 = 2\nAnswer: 2"]
    assert (len(kept), len(pairs)) == (6, 6) and pairs[0]["rejected"].endswith("Answer: 2")
    assert read("kept.jsonl").kind == "completion" and read("kept.pairs.jsonl").kind == "preference"
    told = capsys.readouterr().out
    assert "kept        6 rows in kept.jsonl\n            6 rows in kept.pairs.jsonl\n" in told
    assert "dropped     6 wrong (the first is sums.jsonl, row 1, answer 2)" in told
    assert not Path("kept.jsonl.partial").exists()


def test_one_kind_alone_goes_to_the_file_that_is_named(said):
    assert main([*SAMPLE, "--out", "pairs.jsonl", "emit=pairs", "--limit", "2"]) == 0
    assert len(rows("pairs.jsonl")) == 2 and not Path("pairs.pairs.jsonl").exists()


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(said, capfd):
    said.act = lambda number: os.kill(os.getpid(), signal.SIGINT) if number == 4 else None
    assert main([*SAMPLE, "--out", "kept.jsonl"]) == 130
    told = capfd.readouterr().err
    assert f"3 of 6 rows are done; go on with: espalier {' '.join(SAMPLE)} --out kept.jsonl\n" in told
    assert not Path("kept.jsonl").exists() and len(said.asked) == 6
    assert main([*SAMPLE, "--out", "kept.jsonl"]) == 0
    assert len(said.asked) == 12 and len(rows("kept.jsonl")) == 6 and "rows 3 of 6" in capfd.readouterr().out


def test_a_failure_in_the_middle_is_one_sentence_and_the_same_command_goes_on(said, capsys):
    def fail(number):
        if number == 5:
            raise ModelError("the server is gone.")

    said.act = fail
    assert main([*SAMPLE, "--out", "kept.jsonl"]) == 2
    told = capsys.readouterr().err
    assert "2 of 6 rows are done; go on with: espalier curate" in told and told.endswith("error: the server is gone.\n")
    said.act = lambda number: None
    assert main([*SAMPLE, "--out", "kept.jsonl"]) == 0 and len(rows("kept.jsonl")) == 6


def test_killed_at_any_line_it_loses_only_the_row_in_flight(said, monkeypatch):
    write, count = collecting._Partial._write, [0]

    def dying(self, line):
        count[0] += 1
        if count[0] == 4:
            self.file.write(line[: len(line) // 2])  # half a line, and then no more
            self.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        write(self, line)

    monkeypatch.setattr(collecting._Partial, "_write", dying)
    assert forked(lambda: main([*SAMPLE, "--out", "kept.jsonl"])).code == 128 + signal.SIGKILL
    monkeypatch.setattr(collecting._Partial, "_write", write)
    assert not Path("kept.jsonl").exists()
    assert main([*SAMPLE, "--out", "kept.jsonl"]) == 0
    assert len(said.asked) == 2 * (6 - 2) and len(rows("kept.jsonl")) == 6


def test_a_server_is_asked_for_several_rows_at_once_and_its_tokens_are_counted(capsys):
    server = Server()
    command = ["curate", "best_of_n", "--data", "sums.jsonl", "--lm", f"{server.url}:small", "--scorer", "politeness"]
    assert main([*command, "n=2", "--out", "best.jsonl"]) == 0
    assert len(rows("best.jsonl")) == 6 and [row["prompt"] for row in rows("best.jsonl")] == [r["prompt"] for r in SUMS]
    assert "tokens      18 read, 24 written" in capsys.readouterr().out
    server.stop()


def test_what_a_judge_does_not_say_is_counted_apart(capsys):
    server = Server()
    answers = iter(["[[7]]", "I cannot tell.", "[[3]]", "[[9]]"])
    server.answer = lambda asked: Reply({"choices": [{"message": {"content": next(answers)}}]})
    write_rows(Path("answers.jsonl"), [{"prompt": "p", "completions": list("abcd"), "task": "t"}])
    command = ["curate", "ai_feedback", "--data", "answers.jsonl", "--judge", f"{server.url}:small"]
    assert main([*command, "--out", "scored.jsonl"]) == 0
    [row] = rows("scored.jsonl")
    assert sorted(row["scores"], key=str) == [3.0, 7.0, 9.0, None] and row["task"] == "t"
    assert "no score    1 of 4 completions" in capsys.readouterr().out
    assert main(["curate", "binarize", "--data", "scored.jsonl", "--out", "pairs.jsonl"]) == 0
    assert rows("pairs.jsonl")[0]["chosen_score"] == 9.0
    server.stop()


def test_the_reward_model_and_the_model_are_on_this_machine(monkeypatch, capsys):
    class Longer:
        def score(self, rows):
            return Scores(tuple(float(len(row["completion"])) for row in rows))

    monkeypatch.setattr(scoring, "is_scorer", lambda name: name == "rm")
    monkeypatch.setattr(scoring, "load_scorer", lambda name, dtype: Longer())
    Path("rm").mkdir()
    save_model(Path("model"), max_position_embeddings=256)
    command = ["curate", "best_of_n", "--data", "sums.jsonl", "--limit", "2", "--model", "model", "--scorer", "rm"]
    assert main([*command, "n=3", "max_tokens=4", "--dtype", "float32", "--out", "best.jsonl"]) == 0
    assert [row["score"] for row in rows("best.jsonl")] == [len(row["completion"]) for row in rows("best.jsonl")]
    assert "written" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--out", "sums.jsonl"], "sums.jsonl exists; name another file, or delete it."),
        (["--out", "rows.csv"], "name a file that ends in .jsonl"),
        (["--out", "no/where.jsonl"], "there is no folder 'no' to write into"),
        (["--out", "o.jsonl", "--data", "none.jsonl"], "none.jsonl"),
        (["--out", "o.jsonl", "threshold=high"], "'threshold' must be a number, not 'high'"),
        (["--out", "o.jsonl", "thresold=1"], "Did you mean 'threshold'"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_nothing_is_written(said, more, sentence, capsys):
    before = sorted(Path().iterdir())
    assert main([*SAMPLE, *more]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ") and told.count("\n") == 1 and sentence in told
    assert sorted(Path().iterdir()) == before and not said.asked


def test_rows_that_no_method_can_use_are_one_sentence(said, capsys):
    assert main(["curate", "binarize", "--data", "sums.jsonl", "--out", "o.jsonl"]) == 2
    told = capsys.readouterr().err
    assert "of 6 rows nothing is kept: 6 cannot be used (sums.jsonl, row 1: 'completions' and 'scores' must be" in told
    assert not Path("o.jsonl").exists()


def test_a_failure_before_the_first_row_leaves_nothing(said, capsys):
    def fail(number):
        raise ModelError("the server is gone.")

    said.act = fail
    assert main([*SAMPLE, "--out", "kept.jsonl"]) == 2 and capsys.readouterr().err == "error: the server is gone.\n"
    assert not list(Path().glob("kept*"))


def test_a_stage_is_checked_before_the_first_runs():
    text = 'out = "o"\n[[stage]]\nname = "a"\ncommand = "curate best_of_n --data x.jsonl --out {out}/y.jsonl nn=3"\n'
    Path("r.toml").write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match="stage 'a': no option of selection/best_of_n named 'nn'"):
        check(load_stages("r.toml"))
