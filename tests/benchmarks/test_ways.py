"""The measurement of ways of tuning: what is asked, in which order, what counts as best, and the table of it."""

import sys
from pathlib import Path

import pytest

from benchmarks import ways
from espalier.adapters.vera import VeRA
from espalier.catalogue import addresses
from espalier.recipe import load_recipe

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

import generate_ways

MACHINE = {"cpu": "a processor", "date": "2026-01-02", "torch": "2", "peft": "0"}


def record(*cells):
    start = {"cell": {"name": "start", "rate": 0.0, "fixed": dict(ways.SIZES)}, "right": 0.05, "nats": 0.3}
    return {"cells": dict(enumerate([start, *cells])), "costs": {}, "machine": MACHINE}


def measured(name, rate, right, nats=0.1, **general):
    told = {"what": "general rows", "low": 0.18, "high": 0.27, **general}
    cell = {"name": name, "rate": rate, "steps": 32}
    return {"cell": cell, "right": right, "low": 0.1, "high": 0.9, "nats": nats, "trained": 4096, "bytes": 1_900_000,
            "general": told}  # fmt: skip


def test_every_way_is_measured_once_before_any_a_second_time():
    cells = ways.planned(None)
    first = cells[: len(ways.WAYS)]
    assert [cell.name for cell in first] == list(ways.WAYS) and len({cell.key for cell in cells}) == len(cells)
    assert next(cell for cell in first if cell.name == "VeRA").rate == pytest.approx(VeRA.rate * ways.LORA_RATE)
    with pytest.raises(SystemExit, match="no such way"):
        ways.planned("lorra")


def test_every_adapter_is_a_way_and_every_way_a_recipe():
    made = [
        load_recipe(None, way.overrides, model="m", data="d", out="o", objective="sft") for way in ways.WAYS.values()
    ]
    assert {recipe.adapter["method"] for recipe in made if recipe.adapter} == {
        address for address in addresses() if address.startswith("adapters/")
    }


def test_the_task_is_longer_than_what_was_taught_and_is_no_general_row():
    rows = ways.task("test", 8)
    assert {row["steps"] for row in rows} <= {5, 6}
    general = ways.general().rows
    assert len(general) == ways.GENERAL and "sum" not in {row["kind"] for row in general}
    assert rows == ways.task("test", 8) != ways.task("train", 8)


def test_the_best_has_the_most_right_answers_and_of_equals_the_likeliest():
    found = record(measured("a", 1.0, 0.5, 0.2), measured("a", 2.0, 0.5, 0.1), measured("a", 3.0, 0.4, 0.0))["cells"]
    best = ways.best(found, "a")
    assert best is not None and best["cell"]["rate"] == 2.0
    assert ways.best(found, "b") is None


def test_the_table_names_what_was_chosen_and_what_else_was_tried():
    found = record(measured("LoRA", 2e-3, 0.5), measured("LoRA", 8e-3, 0.6), measured("IA3", 0.06, 0.2, problem="none"))
    text = generate_ways.written(found | {"costs": {"LoRA": {"step_seconds": 0.51, "peak": 120.4}}})
    lora, ia3 = (line for line in text.splitlines() if line.startswith(("| LoRA", "| IA3")))
    assert lora == "| LoRA | 4,096 | 1.9 MB | 60 % | 10 % to 90 % | +18 to +27 % | 0.008 | 0.002 | 0.51 | 120 |"
    assert "| none | 0.06 | none |" in ia3 and "before, 5.0 % of 64" in text and "a processor, 2026-01-02" in text
    assert generate_ways.written({"cells": {}}) == generate_ways.NONE
