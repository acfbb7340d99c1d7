"""Every offline objective under a known reward: `python -m benchmarks.objectives` writes docs/objectives_measured.md.

A cell is one training in a process of its own. What was measured with the same weights, rows and options is not
measured again, so that it can be interrupted.

python -m benchmarks.objectives --only dpo --workers 2      one objective, two cells at a time
python -m benchmarks.objectives --quick --out /tmp/q.json   a look at everything, no page
ESPALIER_DATA=... python -m benchmarks.objectives --minilm FOLDER   with the real pairs and all yardsticks
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import meter, objectives_report, sprout
from benchmarks.objectives_cells import Cell, Sections, Size, sections
from benchmarks.objectives_measure import measure
from benchmarks.race import ROOT
from espalier.opening import count_parameters
from espalier.run import locate

RESULTS = ROOT / "benchmarks/results/objectives.json"
PAGE = ROOT / "docs/objectives_measured.md"

PRELOADED = ["benchmarks.objectives_measure", "peft", "transformers.models.llama.modeling_llama"]

Record = dict[str, Any]


def planned(found: Sections, only: str | None) -> list[Cell]:
    """The cells to measure: all, or those of a section or an objective; more seeds and real pairs come last."""
    named = [({section, cell.objective}, cell) for section, cells in found.items() for cell in cells.values()]
    chosen = [cell for names, cell in named if only is None or names & {only, "start"}]
    if not any(only in {None, *names} for names, _ in named):
        names = sorted(set().union(*(names for names, _ in named)))
        sys.exit(f"--only {only}: no section or objective of that name. Known: {', '.join(names)}.")
    real = "ESPALIER_DATA" in os.environ
    possible = [cell for cell in chosen if real or not cell.data]
    return sorted(possible, key=lambda cell: (cell.data, cell.rows.seed))


def run(
    cells: list[Cell], size: Size, known: Mapping[str, Record], *, workers: int, minilm: str,
    save: Callable[[dict[str, Record]], None],
) -> dict[str, Record]:  # fmt: skip
    """What each cell comes to, by its key; what is known is not measured again."""
    found = {key: known[key] for cell in cells if (key := cell.key(size)) in known}
    missing = {cell.key(size): cell for cell in cells if cell.key(size) not in found}
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(PRELOADED)
    begun = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=server, max_tasks_per_child=1) as pool:
        jobs = {pool.submit(measure, cell, size, minilm): key for key, cell in missing.items()}
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                key = jobs[job]
                found[key] = {"cell": missing[key].described(), **_outcome(job)}
                save(found)
                spent = time.perf_counter() - begun
                print(f"{done}/{len(jobs)} {spent:.0f} s {objectives_report.line(found[key])}", flush=True)
        except KeyboardInterrupt:
            print("Interrupted; the same command goes on.", flush=True)
            pool.shutdown(wait=False, cancel_futures=True)
    return found


def _outcome(job: Any) -> Record:
    """What a cell measured, or why it failed; the rest goes on."""
    try:
        figures: Record = job.result()
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {error}"}
    return figures


def main() -> None:
    """Measure, record, write the page."""
    parser = argparse.ArgumentParser(description="Measure every offline objective under a known reward.")
    parser.add_argument("--only", metavar="NAME", help="one objective or one section")
    parser.add_argument("--quick", action="store_true", help="few rows and samples; not for the page")
    parser.add_argument("--workers", type=int, default=1, help="cells at a time, one thread each")
    parser.add_argument("--minilm", default="", metavar="FOLDER", help="all-MiniLM-L6-v2, a yardstick on real pairs")
    parser.add_argument("--page", action="store_true", help="only write the page, from what is recorded")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.page:
        return write_page()
    if asked.quick and asked.out == RESULTS:
        sys.exit("a quick look is not for the page; give --out another file.")
    size = Size.quick() if asked.quick else Size()
    folder = Path(locate("sprout").model)
    model = {"weights": sprout.weights(folder), "parameters": count_parameters(str(folder))}
    before: Record = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    same = before.get("model") == model
    known = (
        {key: entry for key, entry in before["cells"].items() if not {"failed", "missing"} & entry.keys()}
        if same
        else {}
    )
    head = {"model": model, "size": asdict(size), "machine": before["machine"] if same else meter.machine()}

    def save(found: Mapping[str, Record]) -> None:
        cells = {**known, **found}
        lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(entry)}" for key, entry in cells.items())
        sprout.write(asked.out, f'{{{json.dumps(head)[1:-1]},\n"cells": {{\n{lines}\n}}}}\n')

    plan = sections(size)
    cells = planned(plan, asked.only)
    found = run(cells, size, known, workers=asked.workers, minilm=asked.minilm, save=save)
    if asked.only is None and len(found) == len({cell.key(size) for cell in cells}):
        known = {}  # a whole measurement forgets what is not asked any more
    save(found)
    if asked.out == RESULTS:
        write_page()


def write_page() -> None:
    """The page of what is recorded."""
    sprout.write(PAGE, objectives_report.page(json.loads(RESULTS.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
