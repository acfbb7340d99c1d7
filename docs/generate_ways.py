"""The table of docs/adapters.md: every way of tuning on one task, from what benchmarks/ways.py has recorded."""

import json
from pathlib import Path
from typing import Any

from generate_objectives import table

from espalier.evaluation.wording import percent, share

RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "ways.json"
NONE = "Nothing is recorded yet: `python -m benchmarks.ways`.\n"
HEAD = [
    "way", "numbers trained", "saved", "right", "right, 95 %", "forgotten, 95 %", "learning rate", "others tried",
    "seconds a step", "MB above the weights",
]  # fmt: skip

Record = dict[str, Any]


def written(found: Record) -> str:
    """The task, the table and the machine; ways in the order in which they learned most."""
    cells = [cell for cell in found["cells"].values() if "right" in cell]
    start = next((cell for cell in cells if cell["cell"]["name"] == "start"), None)
    if start is None:
        return NONE
    names = dict.fromkeys(cell["cell"]["name"] for cell in cells if cell is not start)
    best = {name: min((c for c in cells if c["cell"]["name"] == name), key=order) for name in names}
    rows = [
        row(cell, cells, found["costs"].get(name)) for name, cell in sorted(best.items(), key=lambda i: order(i[1]))
    ]
    size, machine = start["cell"]["fixed"], found["machine"]
    steps = best[next(iter(best))]["cell"]["steps"] if best else 0
    said = (
        f"Sprout learns sums of {size['hard'][0]} and {size['hard'][1]} steps in {steps} steps of {size['batch_size']} "
        f"rows; before, {share(start['right'])} of {size['held']} held-back sums come out right. Forgotten is by how "
        f"much the perplexity rose on {size['general']} rows of all else that it was taught. Of the learning rates "
        "tried the one with the most right answers is shown, which flatters every way a little; one seed. Intervals "
        "are over rows.\n\n"
    )
    ran = f"\nMeasured on {machine['cpu']}, {machine['date']}, torch {machine['torch']}, peft {machine['peft']}, one "
    costed = found.get("costed_on")
    ran += f"thread; seconds and memory {costed['date'] if costed else 'are not recorded yet'}.\n"
    return said + table(HEAD, rows) + ran


def order(cell: Record) -> tuple[float, float]:
    """Most right answers first, of equals the one that finds the answers likeliest."""
    return -cell["right"], cell["nats"]


def row(cell: Record, cells: list[Record], cost: Record | None) -> list[str]:
    """One way."""
    name, rate, general = cell["cell"]["name"], cell["cell"]["rate"], cell["general"]
    tried = sorted(c["cell"]["rate"] for c in cells if c["cell"]["name"] == name and c is not cell)
    told = general.get("problem") or f"{percent(general['low'])} to {percent(general['high'])} %"
    return [
        name, f"{cell['trained']:,}", size(cell["bytes"]), share(cell["right"]),
        f"{share(cell['low'])} to {share(cell['high'])}", told, f"{rate:g}",
        ", ".join(f"{other:g}" for other in tried) or "none",
        f"{cost['step_seconds']:.2f}" if cost else "", f"{cost['peak']:,.0f}" if cost else "",
    ]  # fmt: skip


def size(count: int) -> str:
    """Bytes as a person says them."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"


def ways() -> str:
    """What is recorded."""
    return written(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.exists() else NONE


PARTS = {"docs/adapters.md": {"ways": ways}}
