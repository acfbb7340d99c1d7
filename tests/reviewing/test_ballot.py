"""Votes on two answers, blind; what they amount to, and the pairs that follow."""

import pytest

from espalier.contracts import Row
from espalier.errors import RowError, RunError
from espalier.maths.intervals import wilson
from espalier.reviewing.ballot import Ballot, ballot_file, result
from espalier.rows import read
from tests.reviewing.conftest import EVIL, asking, lines

NAMES = ("runs/one", "runs/two")
ROWS = [Row(prompt=f"p{n}", answers=[f"one {n}", f"two {n} {EVIL}"]) for n in range(20)]


def ballot(tmp_path, rows=ROWS, seed=0, **about):
    return Ballot(tmp_path / "votes.jsonl", NAMES, rows, {"first": "x", "limit": None, **about}, seed=seed)


def side(state, name):
    """Where an answer stands."""
    return ("left", "right")[state["answers"].index(next(text for text in state["answers"] if text.startswith(name)))]


def test_formula_ties_are_counted_apart():
    found = result([0, 0, 0, 1, None, None], same=2, left=3)
    assert (found.wins, found.losses, found.ties, found.same, found.left) == (3, 1, 2, 2, 3)
    assert found.rate == wilson(3, 4)
    assert result([None], 0, 0).rate is None


def test_it_is_blind_and_sides_change_by_the_seed(tmp_path):
    (tmp_path / "b").mkdir()
    desk = ballot(tmp_path)
    sides = [row["left"] for row in desk.rows]
    assert 4 < sum(sides) < 16 and [row["left"] for row in ballot(tmp_path / "b", seed=1).rows] != sides
    assert "runs/" not in str(desk.state())


def test_votes_are_written_taken_back_and_gone_on_with(tmp_path):
    with asking(ballot(tmp_path)) as client:
        state = client.get("state").json()
        for _ in range(3):
            state = client.post("act", json={"at": state["at"], "vote": side(state, "two")}).json()
        state = client.post("act", json={"at": state["at"], "vote": "tie"}).json()
        assert state["at"] == 4 and state["done"] == 4
        assert client.post("act", json={"at": 3, "vote": "left"}).json() == state  # pressed twice
        state = client.post("act", json={"undo": True}).json()
        assert state["at"] == 3 and state["done"] == 3
        told = client.post("act", json={"result": True}).json()["result"]
        assert (told["wins"], told["losses"], told["left"]) == (0, 3, 17) and told["names"] == list(NAMES)
    again = ballot(tmp_path, rows=[])
    assert again.state()["at"] == 3
    assert [row["chosen"] for row in lines(again.out)] == [f"two {n} {EVIL}" for n in range(3)]
    assert lines(again.out)[0]["chosen_from"] == "runs/two" and lines(again.out)[0]["left"] in NAMES


def test_the_end_tells_the_result_and_equal_answers_are_not_asked(tmp_path):
    desk = ballot(tmp_path, [Row(prompt="a", answers=["x", "x"]), Row(prompt="b", answers=["one", "two"])])
    state = desk.state()
    assert (state["at"], state["total"]) == (1, 1)
    state = desk.act({"at": 1, "vote": side(state, "one")})
    assert "at" not in state and state["result"]["rate"] == [1.0, wilson(1, 1).low, 1.0]
    assert state["result"]["same"] == 1 and desk.result().left == 0


def test_the_pairs_are_rows_to_train_on_in_the_form_of_their_prompts(tmp_path):
    talk = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    desk = ballot(tmp_path, [Row(prompt="p", answers=["a", "b"]), Row(prompt=talk, answers=["a", "b"])])
    desk.act({"at": 0, "vote": "left"})
    desk.act({"at": 1, "vote": "right"})
    rows = read(desk.out)
    first, second = rows
    assert rows.kind == "preference" and rows.dropped == []
    assert isinstance(first["chosen"], str) and second["prompt"] == talk
    assert second["chosen"][0]["role"] == "assistant" != second["rejected"][0]["content"]


def test_another_comparison_and_damage_are_refused(tmp_path):
    ballot(tmp_path)
    with pytest.raises(RunError, match=r"something else \(limit differ\); name another --out"):
        ballot(tmp_path, limit=3)
    ballot_file(tmp_path / "votes.jsonl").write_text("{", encoding="utf-8")
    with pytest.raises(RunError, match="cannot be read as votes"):
        ballot(tmp_path)


@pytest.mark.parametrize("asked", [{"undo": True}, {"at": 0, "vote": "3"}, {"at": 99, "vote": "tie"}, {}])
def test_what_cannot_be_is_refused(tmp_path, asked):
    with pytest.raises(RowError):
        ballot(tmp_path).act(asked)
