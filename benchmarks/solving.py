"""Measure what searching, reranking, filtering and active retrieval bring the bundled model on the test world.

Writes docs/strategies_measured.md: `python -m benchmarks.solving`. Questions are asked in rounds, every way the same
ones, and recorded at once: it can be interrupted and goes on, and the page always shows what is there.

python -m benchmarks.solving --n 200       more questions of each kind; those recorded with the same n are kept
python -m benchmarks.solving --minutes 12  stop after the round in which the time is up
python -m benchmarks.solving --page        write the page anew from what is recorded
python -m benchmarks.solving --quick       a small world and a scripted model: the page on the terminal, nothing kept
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import meter, solving_report
from benchmarks.race import ROOT
from benchmarks.solving_cells import DEPTH, WAYS, Way
from benchmarks.solving_questions import Setting
from benchmarks.sprout import DTYPE, SIZE, digest, opened, write
from espalier import reading
from espalier.contracts import Sample, Strategy
from espalier.errors import EspalierError
from espalier.evaluation.searching import Depth, Question
from espalier.evaluation.solving import answer_scores
from espalier.lm.scripted import Scripted
from espalier.rag.retrieve_then_read import RetrieveThenRead
from espalier.spending import counting
from espalier.world.facts import World

RESULTS = ROOT / "benchmarks/results/solving.json"
PAGE = ROOT / "docs/strategies_measured.md"
ROUND = 5  # questions that every way is asked before the next ones
SPENT = ("calls", "prompt_tokens", "completion_tokens", "searches")
RANKS = Depth(k=1, depth=DEPTH)

Record = dict[str, Any]


def measure(
    setting: Setting,
    known: Record,
    *,
    ways: Sequence[Way] = WAYS,
    save: Callable[[Record], None] = lambda _: None,
    until: float = float("inf"),
) -> Record:
    """Every way over the questions of its kinds, round by round.

    Args:
        setting: world, model, questions.
        known: what was measured before; what was asked otherwise is measured anew.
        ways: what to measure.
        save: called with everything so far after each way's part of a round.
        until: the time after which no further round begins.

    Returns:
        By kind and way: `asked`, which tells the questions, and by measure the values, question by question.
    """
    cells = {f"{kind}: {way.name}": (way, kind) for way in ways for kind in way.kinds}
    found: Record = {}
    for name, (_, kind) in cells.items():
        asked = digest([repr(question) for question in setting.asked[kind]])
        same = known.get(name, {}).get("asked") == asked
        found[name] = known[name] if same else {"kind": kind, "asked": asked, "n": 0, "values": {}}
    for start in range(0, setting.n, ROUND):
        if time.time() > until:
            break
        for name, (way, kind) in cells.items():
            extend(found[name], way.build(setting, kind), setting.asked[kind][: start + ROUND], ranked=way.ranked)
            print(f"{name}, {found[name]['n']}: {solving_report.summary(found[name])}", flush=True)
            save(found)
    return found


def extend(entry: Record, strategy: Strategy, questions: Sequence[Question], *, ranked: bool) -> None:
    """Ask those questions that have not been asked."""
    for question in questions[entry["n"] :]:
        for name, value in solved(strategy, question, ranked=ranked).items():
            entry["values"].setdefault(name, []).append(value)
        entry["n"] += 1


def solved(strategy: Strategy, question: Question, *, ranked: bool) -> dict[str, float]:
    """What an answer is worth, and what it took; where the search has the right passage, if that is asked."""
    ranks: dict[str, float] = {}
    with counting() as spent:
        if ranked:
            assert isinstance(strategy, RetrieveThenRead)
            ranks = RANKS.scores(question.wanted, strategy.retriever.search(question.text, DEPTH))
        answer = strategy.solve(question.text)
    values = answer_scores(question, answer) | {name: spent[name] for name in SPENT}
    if ranked:
        values["reciprocal_rank"] = ranks["reciprocal_rank"]
    return {name: round(value, 4) for name, value in values.items()}


def scripted() -> Scripted:
    """A model that quotes what it is shown first, and finds everything equally likely."""

    def reply(prompt: Any) -> Sample:
        text = prompt if isinstance(prompt, str) else prompt[0]["content"]
        first = next((line[5:] for line in text.splitlines() if line.startswith("[1a]")), "")
        said = reading.reply(first.split()[-1], [first]) if first else reading.reply(reading.ABSTAINED)
        return Sample(said, (1,), (-0.1,), tokens=(said,))

    return Scripted(reply, logprob=lambda prompt, completion: -1.0)


def quick() -> None:
    """Everything once, in seconds; the page on the terminal."""
    setting = Setting(World.make(60, split="test"), scripted(), 3)
    cells = measure(setting, {})
    machine = dict.fromkeys(("cpu", "cores", "date", "torch", "transformers"), "any")
    head = {"model": {"name": "scripted", "weights": "none"}, "entities": 60, "seed": 0, "machine": machine}
    print(solving_report.page({**head, "cells": cells}))


def main() -> None:
    """Measure, record, write the page."""
    parser = argparse.ArgumentParser(description="Measure strategies with the bundled model on the test world.")
    parser.add_argument("--n", type=int, default=120, help="questions of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--page", action="store_true", help="only write the page of what is recorded")
    parser.add_argument("--quick", action="store_true", help="a scripted model; nothing is written")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    if asked.n < 1:
        sys.exit(f"--n is {asked.n}; it must be at least 1.")
    if asked.page or asked.quick:
        return quick() if asked.quick else write_page()
    try:
        lm, model = opened("sprout")
    except EspalierError as error:
        sys.exit(str(error))
    before: Record = json.loads(asked.out.read_text()) if asked.out.exists() else {}
    head = {"model": model, "dtype": DTYPE, "entities": SIZE, "seed": asked.seed}
    same = {name: before.get(name) for name in head} == head
    head["machine"] = before["machine"] if same else meter.machine()

    def save(cells: Record) -> None:
        lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(cell)}" for name, cell in cells.items())
        write(asked.out, f'{{{json.dumps(head)[1:-1]},\n"cells": {{\n{lines}\n}}}}\n')
        if asked.out == RESULTS:
            write_page()

    setting = Setting(World.make(SIZE, split="test", seed=asked.seed), lm, asked.n, asked.seed)
    until = time.time() + asked.minutes * 60
    save(measure(setting, before["cells"] if same else {}, save=save, until=until))


def write_page() -> None:
    """The page of what is recorded."""
    write(PAGE, solving_report.page(json.loads(RESULTS.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
