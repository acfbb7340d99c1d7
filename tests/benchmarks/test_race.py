from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import lengths, meter, ours, race, report, scaling, shapes, theirs
from espalier.trees.forest import Forest

STARTS = {  # the loss of an untouched policy with random weights; a reward model's depends on its head
    "dpo": math.log(2),
    "kto": 0.5,
    "sft": math.log(1024),
    "orpo": math.log(1024) + 0.1 * math.log(2),
}
PAIRS: dict[str, Any] = {"count": 2, "batch": 1}
ROWS = dict.fromkeys(("dpo", "sft", "orpo", "reward_model"), PAIRS)
ROWS["kto"] = {"count": 4, "batch": 2, "answers": 1, "reference": "live"}


def test_property_synthetic_lengths_stay_in_range() -> None:
    found = lengths.synthetic(500)
    assert all(50 <= p <= 400 and 20 <= c <= 300 and 20 <= r <= 300 for p, c, r in found)
    assert sorted(p for p, _, _ in found)[250] == pytest.approx(135, rel=0.15)


def test_rows_have_the_lengths_asked_for(tmp_path: Path) -> None:
    lengths.write(tmp_path / "rows.jsonl", [(5, 3, 2)], 100)
    (row,) = lengths.read(tmp_path / "rows.jsonl")
    tokens = shapes.tokenizer(100)
    assert [len(tokens(row[name]).input_ids) for name in ("prompt", "chosen", "rejected")] == [5, 3, 2]
    assert tokens(row["prompt"]).input_ids == shapes.ids(row["prompt"])


def test_several_rejected_answers_make_pairs_that_ours_plants_as_one_tree(tmp_path: Path) -> None:
    lengths.write(tmp_path / "rows.jsonl", [(50, 10, 20, 30, 40)], 1000)
    rows = lengths.read(tmp_path / "rows.jsonl")
    assert len(rows) == 3
    assert len({row["prompt"] for row in rows}) == len({row["chosen"] for row in rows}) == 1
    forest = Forest.plant([ours.plant(row, "dpo") for row in rows])
    assert len(forest.layout.ids) == 50 + 11 + 21 + 31 + 41


@pytest.mark.parametrize(("answers", "labels"), [(1, [True, False, True]), (2, [True, False] * 3)])
def test_rated_answers(answers: int, labels: list[bool]) -> None:
    pairs = [{"prompt": str(i), "chosen": "good", "rejected": "bad"} for i in range(3)]
    rows = lengths.rated(pairs, answers)
    assert [row["label"] for row in rows] == labels == [row["completion"] == "good" for row in rows]
    assert {row["prompt"] for row in rows} == {"0", "1", "2"}


def test_every_case_draws_the_rows_it_names(tmp_path: Path) -> None:
    for case in [*race.CASES, *scaling.cells()]:
        assert case.count > case.batch and case.count % case.batch == 0, case.name
        if case.rows not in ("hh", "alpaca"):  # those need the data
            lengths.write(tmp_path / "rows.jsonl", race.drawn(case), 1000)
            spec = dataclasses.asdict(case) | {"rows": str(tmp_path / "rows.jsonl")}
            assert len(theirs.rows_of(spec)) == case.count, case.name


@pytest.fixture
def raced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the cases that were raced; nothing is measured."""
    names: list[str] = []

    def pretend(case: race.Case, folder: Path, **_: Any) -> dict[str, list[dict[str, Any]]]:
        names.append(case.name)
        return {side: [run_of(case, 2.0 if side == "ours" else 6.0)] for side in case.sides}

    monkeypatch.setattr(race, "race", pretend)
    monkeypatch.setattr(meter, "machine", lambda: {"cpu": "one"})
    monkeypatch.setattr(meter, "load", lambda: {"date": "today", "load": 0.1, "busy": 0.0})
    return names


def run_of(case: race.Case, seconds: float) -> dict[str, Any]:
    times = [seconds] * (case.count // case.batch)
    return {"seconds": times, "cpu": times, "peak": 900, "libraries": 300, "held": 400, "flops": 1e9, "gflops": 10.0}


def test_a_race_that_stopped_goes_on_where_it_was(tmp_path: Path, raced: list[str]) -> None:
    options = ["--case", "dpo-full", "--case", "kto-full", "--out", str(tmp_path / "race.json"), "--rounds", "1"]
    race.main(options[2:])
    race.main([*options, "--missing"])
    assert raced == ["kto-full", "dpo-full"]
    race.main([*options, "--missing"])
    assert len(raced) == 2
    assert set(race.recorded(tmp_path / "race.json")) == {"kto-full", "dpo-full"}
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["race.json"]


def test_a_record_of_another_case_of_that_name_is_measured_again(tmp_path: Path, raced: list[str]) -> None:
    case = next(case for case in race.CASES if case.name == "dpo-full")
    entry: dict[str, Any] = {"case": dataclasses.asdict(case), "threads": 2, "runs": {"ours": [{}]}}
    old = {name: value for name, value in entry["case"].items() if name not in ("share", "answers")}
    assert race.covers(entry, case, 1, 2)
    assert race.covers(entry | {"case": old}, case, 1, 2), "a record from before an option was there"
    assert not race.covers(entry, case, 2, 2)
    assert not race.covers(entry, dataclasses.replace(case, count=80), 1, 2)


def test_the_load_is_measured() -> None:
    found = meter.load(0.05)
    assert 0 <= found["busy"] <= 1
    assert found["load"] >= 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "method", ["dpo", "kto", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sft", "orpo", "reward_model"))]
)
def test_a_race_on_a_tiny_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    pytest.importorskip("trl")
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    modules = {"ours": ours.run, "theirs": theirs.run}
    monkeypatch.setattr(race, "_run", lambda module, spec: json.loads(json.dumps(modules[module](spec))))
    case = race.Case(
        "tiny", method=method, model="tiny", lora=method == "sft", sides=("ours", "TRL best"), **ROWS[method]
    )
    try:
        runs: dict[str, list[dict[str, Any]]] = race.race(case, tmp_path, threads=1)
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(threads)
    losses = [runs[side][0]["loss"] for side in case.sides]
    assert losses == pytest.approx([STARTS.get(method, losses[0])] * 2, rel=0.02)
    assert sum(runs["ours"][0]["profile"].values()) == pytest.approx(1, abs=0.01)
    entry = {"case": dataclasses.asdict(case), "machine": meter.machine(), "threads": 1, "runs": runs}
    assert "speed vs best" in race.summary(entry)
    page = report.page({"tiny": entry}, {})
    assert "| tiny | synthetic, " in page
    assert "tiny (20" in page
