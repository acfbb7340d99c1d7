from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import lengths, ours, race, report, shapes


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


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("method", ["dpo", pytest.param("sft", marks=pytest.mark.slow)])
def test_a_race_on_a_tiny_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    pytest.importorskip("trl")
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    modules = {"ours": ours.run, "theirs": __import__("benchmarks.theirs", fromlist=["run"]).run}
    monkeypatch.setattr(race, "_run", lambda module, spec: json.loads(json.dumps(modules[module](spec))))
    case = race.Case(
        "tiny", method=method, model="tiny", lora=method == "sft", count=2, batch=1, sides=("ours", "TRL best")
    )
    try:
        runs: dict[str, list[dict[str, Any]]] = race.race(case, tmp_path, threads=1)
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.set_num_threads(threads)
    start = math.log(2) if method == "dpo" else math.log(1024)
    assert [runs[side][0]["loss"] for side in case.sides] == pytest.approx([start, start], rel=0.02)
    assert sum(runs["ours"][0]["profile"].values()) == pytest.approx(1, abs=0.01)
    entry = {"case": dataclasses.asdict(case), "machine": {"cpu": "one"}, "threads": 1, "runs": runs}
    assert "speed vs best" in race.summary(entry)
    assert "| tiny |" in report.table({"tiny": entry})
