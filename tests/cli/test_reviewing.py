"""`espalier review` as it is typed: answers, votes, the result, pairs that can be trained on."""

import json
from pathlib import Path

import pytest

from espalier.answering import Answering
from espalier.cli import main, reviewing
from espalier.lm.scripted import Scripted
from tests.models_on_disk import save_model


def save(name, *rows):
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save("a.jsonl", *({"prompt": f"p{n}", "completion": f"long answer {n}"} for n in range(6)))
    save("b.jsonl", *({"prompt": f"p{n}", "completion": f"short {n}"} for n in range(5)))
    return tmp_path


@pytest.fixture
def voter(monkeypatch):
    """Prefers the answer that begins as it is told, as often as it is told."""
    told = {"begins": "long", "times": 99}

    def show(desk, *, port):
        for _ in range(told["times"]):
            state = desk.state()
            if "at" not in state:
                break
            left = state["answers"][0].startswith(told["begins"])
            desk.act({"at": state["at"], "vote": "left" if left else "right"})

    monkeypatch.setattr(reviewing, "show", show)
    return told


def test_votes_are_gone_on_with_and_become_pairs_to_train_on(voter, capsys):
    voter["times"] = 2
    assert main(["review", "a.jsonl", "b.jsonl"]) == 0
    said = capsys.readouterr().out
    assert "1 no answer of B in its file" in said and "left        3; the same command goes on" in said
    voter["times"] = 99
    assert main(["review", "a.jsonl", "b.jsonl"]) == 0
    said = capsys.readouterr().out
    assert "votes       5 for a.jsonl, 0 for b.jsonl, ties: 0" in said
    assert "100 % of the votes for either are for a.jsonl, 95 % interval 57 % to 100 %" in said
    save_model(Path("model"), max_position_embeddings=256)
    assert main(["check", "dpo", "--data", "votes.jsonl", "--model", "model"]) == 0
    assert "preference pairs" in capsys.readouterr().out


def test_models_answer_once_and_a_file_may_answer_beside_them(voter, monkeypatch, capsys):
    lm = Scripted(lambda prompt: "long: " + prompt)
    monkeypatch.setattr(Answering, "open", lambda self, name: lm)
    save("rows.jsonl", {"prompt": "p0"}, {"prompt": "p1"})
    words = ["review", "some/model", "b.jsonl", "--data", "rows.jsonl", "--out", "v.jsonl"]
    assert main(words) == 0 and len(lm.calls) == 2
    assert "2 for some/model" in capsys.readouterr().out
    assert main(words) == 0 and len(lm.calls) == 2
    assert not Path("v.jsonl.partial").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["m", "b.jsonl"], "no prompts given"),
        (["a.jsonl", "b.jsonl", "--out", "v.csv"], "ends in .jsonl"),
        (["a.jsonl", "b.jsonl", "--out", "a.jsonl"], "a.jsonl exists"),
        (["a.jsonl", "c.jsonl", "--data", "a.jsonl"], "c.jsonl"),
        (["a.jsonl", "b.jsonl", "--data", "none.jsonl"], "none.jsonl"),
    ],
)
def test_what_cannot_be_is_one_sentence(words, sentence, voter, capsys):
    assert main(["review", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_votes_on_something_else_are_not_mixed_in(voter, capsys):
    assert main(["review", "a.jsonl", "b.jsonl"]) == 0
    assert main(["review", "a.jsonl", "b.jsonl", "--seed", "1"]) == 2
    assert "has votes on something else (seed differ)" in capsys.readouterr().err


def test_answers_that_have_no_prompt_in_common_are_told(voter, capsys):
    save("c.jsonl", {"prompt": "else", "completion": "x"})
    assert main(["review", "a.jsonl", "c.jsonl"]) == 2
    assert "no row has two answers: 6 no answer of B in its file" in capsys.readouterr().err
