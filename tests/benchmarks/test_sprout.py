"""Measuring the bundled model: an oracle is right everywhere, an abstainer nowhere but where it should be."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import sprout, sprout_report
from benchmarks.sprout_cases import TASKS, Setting, Task
from benchmarks.sprout_grades import majority
from benchmarks.sprout_report import TARGETS, Target, interval
from espalier import reading
from espalier.lm.scripted import Scripted
from espalier.maths.intervals import Interval
from espalier.world import beir, instructions, judging, sums
from espalier.world.facts import World

WORLD = World.make(60, split="test")
N = 4


def setting(lm: Scripted | None = None, **changed: object) -> Setting:
    return replace(Setting(WORLD, lm or Scripted(lambda prompt: reading.reply(reading.ABSTAINED)), N, 0), **changed)


def task(name: str) -> Task:
    return next(task for task in TASKS if task.name == name)


def figures(found: sprout.Record, name: str, wording: str = "known") -> dict[str, str]:
    (entry,) = (e for e in found.values() if (e["task"], e["wording"]) == (name, wording))
    return entry["figures"]


def test_every_target_is_measured_and_the_page_says_met_or_missed() -> None:
    found = sprout.measure(setting(), {})
    assert figures(found, "closed-book") == {"exact match": "0000", "abstains": "1111"}
    assert figures(found, "3 hard distractors")["falsely abstains"] == "1111"
    assert figures(found, "unanswerable, 4 passages") == {"abstains": "1111"}
    measured = {(entry["task"], name) for entry in found.values() for name in entry["figures"]}
    assert set(TARGETS) <= measured
    head = {
        "model": {"parameters": 5, "bytes": 2e6, "weights": "abc"},
        "training": [],
        "entities": 60,
        "seed": 0,
        "n": N,
    }
    machine = {"cpu": "A CPU", "cores": 2, "date": "today", "torch": "2", "transformers": "5"}
    page = sprout_report.page({**head, "dtype": "float32", "machine": machine, "tasks": found})
    assert "closed-book, exact match, known wordings: 0.00, wanted at most 0.05: met" in page
    assert "- 3 hard distractors, exact match, unseen wordings: 0.00, wanted at least 0.6: **missed** by 0.60" in page
    assert all(f"\n## {entry['group']}\n" in page for entry in found.values())
    assert max(map(len, sprout_report.INTRODUCTION.splitlines())) <= 120


@pytest.mark.parametrize("name", ["the right passage only", "7 hard distractors", "two-hop, 4 passages"])
@pytest.mark.parametrize("wording", ["known", "unseen"])
def test_a_reader_that_is_right_matches_exactly(name: str, wording: str) -> None:
    asked = setting(wording=wording)
    answers = {case.prompt: case.grades["exact match"].keywords["answers"][0] for case in task(name).cases(asked)}
    right = setting(Scripted(lambda prompt: reading.reply(answers[prompt])))
    got = figures(sprout.measure(right, {}, tasks=[replace(task(name), wordings=(wording,))]), name, wording)
    assert got == {"exact match": "1111", "quote exact": "0000", "falsely abstains": "0000"}


def test_sums_judgements_and_instructions_are_right_where_the_reply_is() -> None:
    for name, rows in (
        ("greedy", lambda s: sums.rows(WORLD, N, s.draw("sums"))),
        ("voted", lambda s: sums.rows(WORLD, N, s.draw("sums"))),
        ("relevance", lambda s: judging.relevance_rows(WORLD, N, s.draw("relevance"))),
        ("all kinds", lambda s: instructions.rows(N, s.draw("instructions"))),
    ):
        right = {row["prompt"]: row["completion"] for row in rows(setting())}
        known = replace(task(name), wordings=("known",))
        got = figures(sprout.measure(setting(Scripted(right.__getitem__)), {}, tasks=[known]), name)
        assert got and all(set(outcomes) <= {"1", "-"} for outcomes in got.values()), (name, got)


def test_a_question_counts_if_its_own_passage_or_document_is_found_first() -> None:
    found = beir.search(WORLD, N, 0)
    own = {judging.query_prompt(row["document"]): row["queries"] for row in beir.doc2query(found, 0)}
    cases = task("questions written").cases(setting())
    outcomes = [case.grades["its passage is found first"](own[case.prompt]) for case in cases]
    assert outcomes == [case.grades["the passage, of the world's own"](["?"]) for case in cases] and any(outcomes)
    named = [case.grades["its document is found first"](own[case.prompt]) for case in cases]
    assert all(of_it or not passage for of_it, passage in zip(named, outcomes, strict=True)) and sum(named) > sum(
        outcomes
    )
    for name in ("its passage is found first", "its document is found first"):
        assert not any(case.grades[name]([""]) for case in cases)


def test_quotes_over_whole_documents_must_stand_in_a_passage() -> None:
    (case, *_) = (c for c in task("4 passages by BM25").cases(setting()) if "exact match" in c.grades)
    stands = case.grades["every quote stands in a passage"]
    shown = next(line for line in case.prompt.splitlines() if line.startswith("[1]")).split()[-1]
    assert stands([reading.reply("x", [shown])]) and stands([reading.reply(reading.ABSTAINED)])
    assert not stands([reading.reply("x", ["Nobody said this."])]) and not stands([reading.reply("x")])


def test_the_commonest_answer_wins_and_the_first_of_a_tie() -> None:
    assert majority(["Answer: 3", "Answer: 5.", "Answer: 5"]) == "5"
    assert majority(["Answer: 3", "Answer: 5"]) == "3"


def test_what_was_measured_is_not_measured_again() -> None:
    chosen, first, second = [task("greedy")], Scripted(lambda prompt: "Answer: 1"), Scripted(lambda prompt: "Answer: 1")
    saved: list[sprout.Record] = []
    found = sprout.measure(setting(first), {}, tasks=chosen, save=lambda record: saved.append(dict(record)))
    assert [len(record) for record in saved] == [1, 2]
    assert sprout.measure(setting(second), saved[0], tasks=chosen) == {**found, **saved[0]}
    assert (len(first.calls), len(second.calls)) == (2 * N, N)
    sprout.measure(setting(second, n=N + 1), found, tasks=chosen)
    assert len(second.calls) == N + 2 * (N + 1)


def test_formula_a_target_is_met_or_missed_by() -> None:
    target = Target(0.8, unseen=0.75)
    assert target.verdict(Interval(0.9, 0.85, 0.95), "known") == "met"
    assert target.verdict(Interval(0.9, 0.79, 0.95), "known") == "met, but the interval reaches beyond"
    assert target.verdict(Interval(0.7, 0.6, 0.75), "known") == "**missed** by 0.10"
    assert target.verdict(Interval(0.5, 0.4, 0.6), "unseen") == "**missed** by 0.10, the interval reaches it"
    assert Target(high=0.1).verdict(Interval(0.2, 0.15, 0.3), "unseen") == "**missed** by 0.10"
    found = interval("11-0")
    assert found is not None and found[1] == 3 and found[0].value == pytest.approx(2 / 3)
    assert interval("--") is None


def test_the_page_is_that_of_the_recorded_results() -> None:
    assert sprout.PAGE.read_text(encoding="utf-8") == sprout_report.page(json.loads(sprout.RESULTS.read_text()))


def test_training_is_read_from_runs_and_a_step_done_twice_counts_once(tmp_path: Path) -> None:
    run = tmp_path / "second"
    run.mkdir()
    step = {"kind": "step", "tokens": 100, "examples": 4, "seconds": 1800.0}
    lines = [{**step, "step": 1}, {**step, "step": 2}, {**step, "step": 2}, {"kind": "eval", "step": 2, "loss": 0.5}]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (run / "run.json").write_text(json.dumps({"machine": {"cpu": "A CPU", "cores": 2}, "started": "today"}))
    (found,) = sprout.training([run])
    assert (found["steps"], found["tokens"], found["loss"]) == (2, 200, 0.5)
    assert "| second | 2 | 8 | 0.0M | 1 h 00 min | 0.500 | A CPU, 2 cores |" in sprout_report.trained([found])
    assert sprout_report.trained([]) == sprout_report.TRAINED_ON_UNKNOWN
