from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import meter, race, report, scaling


def recorded(case: race.Case, seconds: dict[str, float]) -> dict[str, Any]:
    """An entry in which each side took so many seconds per step."""
    fixed = {"libraries": 300, "held": 400, "flops": 1e9, "gflops": 10.0, "loss": 0.7}
    runs = {
        side: [{"seconds": [9.0, s, s], "cpu": [9.0, s, s], "peak": 800 + 100 * s, **fixed}]
        for side, s in seconds.items()
    }
    machine: dict[str, Any] = {"cpu": "one", "cores": 2, "gflops": {}, "date": "today", "load": 0.1, "busy": 0.0}
    machine |= dict.fromkeys(("torch", "transformers", "trl", "peft"), "1")
    entry = {"case": dataclasses.asdict(case), "machine": machine, "threads": 1, "runs": runs}
    return json.loads(json.dumps(entry))  # type: ignore[no-any-return]


@pytest.fixture
def cells() -> dict[str, Any]:
    return {case.name: recorded(case, {"ours": 1.0, "TRL best": 4.0}) for case in scaling.cells()}


@pytest.mark.parametrize("case", scaling.cells(), ids=lambda case: case.name)
def test_prompts_have_their_share_of_a_row(case: race.Case) -> None:
    rows = race.drawn(case)
    assert {len(row) for row in rows} == {1 + case.answers}
    assert sum(p for p, *_ in rows) / sum(p + sum(a) / len(a) for p, *a in rows) == pytest.approx(case.share, abs=0.01)
    assert 250 < sum(p + sum(a) / len(a) for p, *a in rows) / len(rows) < 390


def test_formula_tokens_per_second_count_each_answer_once_with_its_prompt(cells: dict[str, Any]) -> None:
    case = scaling.case_of(0.5, 4)  # two prompts in a batch, three batches, the first of which does not count
    tokens = sum(4 * (p + 1) + sum(answers) for p, *answers in race.drawn(case)[2:])
    found = scaling.figures(cells[case.name])
    assert found["tokens ours"] == pytest.approx(tokens / 2.0)
    assert found["tokens best"] == pytest.approx(tokens / 8.0)
    assert found["speed vs best"] == pytest.approx(4)


@pytest.mark.parametrize("kept", [9, 4])
def test_table_and_picture_show_what_is_recorded(cells: dict[str, Any], kept: int) -> None:
    some = dict(list(cells.items())[:kept])
    assert scaling.table(some).count("\n") == 1 + kept
    drawing = ElementTree.fromstring(scaling.picture(some))
    dots = drawing.findall(".//{http://www.w3.org/2000/svg}circle")
    assert len(dots) == 5 * kept
    assert all(0 <= float(dot.attrib["cy"]) <= scaling.HEIGHT - scaling.BOTTOM for dot in dots)


def test_the_page_has_the_grid(cells: dict[str, Any]) -> None:
    page = report.grid(cells)
    assert "| 90% | 8 |" in page
    assert "scaling.svg" in page
    assert "Not run" in report.grid({})


def test_every_cell_is_raced_and_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(race, "race", lambda case, *_, **__: recorded(case, {"ours": 1.0, "TRL best": 2.0})["runs"])
    monkeypatch.setattr(meter, "machine", lambda: {"cpu": "one"})
    monkeypatch.setattr(meter, "load", lambda: {"date": "today", "load": 0.1, "busy": 0.0})
    scaling.main(["--out", str(tmp_path / "scaling.json")])
    assert list(race.recorded(tmp_path / "scaling.json")) == [case.name for case in scaling.cells()]
