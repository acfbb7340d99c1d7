"""Measuring strategies with the bundled model: the questions, the ways, what a round records, and the page."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from benchmarks import solving, solving_report
from benchmarks.solving_cells import ALWAYS, CLOSED, FIRST, GIVEN, WAYS, Taught, shown
from benchmarks.solving_questions import AS_IF_TRUE, CALLED_FALSE, SCATTERED, SINGLE, TWO_HOP, WRONG, Setting
from espalier import reading
from espalier.contracts import Row
from espalier.evaluation.searching import Depth
from espalier.lm.scripted import Scripted
from espalier.world.facts import World

WORLD = World.make(60, split="test")


@cache
def setting() -> Setting:
    return Setting(WORLD, solving.scripted(), 3)


def test_every_question_has_its_answer_in_what_is_wanted() -> None:
    for kind in (SINGLE, TWO_HOP):
        assert len(setting().asked[kind]) == 3
        for question in setting().asked[kind]:
            texts = [setting().documents[one.id] for one in question.wanted]
            said = " ".join(f"{hit.title} {hit.text}" for hit in texts).casefold()
            assert question.answers and question.answers[0].casefold() in said
    parts = setting().scattered.passages
    for question in setting().asked[SCATTERED]:
        assert question.answers and all(question.answers[0] in parts[one.id].text for one in question.wanted[:1])
    for question in setting().asked[TWO_HOP]:
        first, second = (setting().passages[one.id] for one in question.wanted)
        assert second.entity.name in first.text and second.entity.name not in question.text


@pytest.mark.parametrize("kind", [CALLED_FALSE, AS_IF_TRUE])
def test_one_of_the_passages_contradicts_and_the_oracle_leaves_what_has_the_answer(kind: str) -> None:
    for question in setting().asked[kind]:
        hits = setting().contradicted[kind][question.text]
        (wrong,) = (hit for hit in hits if hit.document == WRONG)
        assert setting().right(question) in hits and len(hits) >= 3
        denied = any(word in wrong.text for word in ("wrong", "mistake", "false"))
        assert denied == (kind == CALLED_FALSE) and question.answers and question.answers[0] not in wrong.text
        kept = shown(setting(), kind, oracle="string").solve(question.text).hits
        assert kept and all(question.answers[0].casefold() in hit.text.casefold() for hit in kept)


def test_a_judge_scores_passages_by_the_question_that_it_was_taught() -> None:
    lm = Scripted(logprob=lambda prompt, word: 0.0 if (word == "yes") == ("right" in prompt) else -50.0)
    rows = [Row(query="Who?", document=text) for text in ("the right one", "another")]
    assert Taught(lm).score(rows).values == pytest.approx((1.0, -1.0))


def test_what_was_asked_is_not_asked_again_and_a_further_round_goes_on() -> None:
    chosen = [way for way in WAYS if way.name in (CLOSED, GIVEN, FIRST)]
    saved: list[dict[str, Any]] = []
    found = solving.measure(setting(), {}, ways=chosen, save=lambda cells: saved.append(json.loads(json.dumps(cells))))
    assert len(saved) == len(found) == 4 and {cell["n"] for cell in found.values()} == {3}
    answers = {question.text: question.answers for kind in setting().asked.values() for question in kind}

    def oracle(prompt: Any) -> str:
        asked = prompt.rpartition(reading.QUESTION)[2].strip()
        return reading.reply((answers[asked] or ("",))[0])

    lm = Scripted(oracle)
    after = solving.measure(Setting(WORLD, lm, 3), saved[-1], ways=chosen)
    assert after == found and not lm.calls
    assert solving.measure(Setting(WORLD, lm, 3), {}, ways=chosen, until=0.0)[f"{SINGLE}: {CLOSED}"]["n"] == 0
    right = solving.measure(Setting(WORLD, lm, 3), {}, ways=chosen)
    assert all(cell["values"]["exact_match"] == [1.0] * 3 for cell in right.values())
    ranks = right[f"{SINGLE}: {FIRST}"]["values"]["reciprocal_rank"]
    assert ranks == [
        round(Depth(k=1, depth=8).scores(q.wanted, setting().bm25.search(q.text, 8))["reciprocal_rank"], 4)
        for q in setting().asked[SINGLE]
    ]


def test_every_way_is_asked_and_has_its_row(capsys: pytest.CaptureFixture[str]) -> None:
    solving.quick()
    page = capsys.readouterr().out
    for section in solving_report.SECTIONS:
        _, _, table = page.partition(f"\n## {section.title}\n")
        assert all(f"\n| {way} | " in table.partition("\n## ")[0] for way in section.ways), section.title
    assert {f"{s.kind}: {way}" for s in solving_report.SECTIONS for way in s.ways} == {
        f"{kind}: {way.name}" for way in WAYS for kind in way.kinds
    }
    assert max(map(len, solving_report.INTRODUCTION.splitlines())) <= 120


def test_formula_a_verdict_needs_an_interval_beyond_zero() -> None:
    assert solving_report.shares_difference([0.0] * 20, [1.0] * 10 + [0.0] * 10)[1] == "better"
    assert solving_report.shares_difference([1.0] * 20, [0.0] * 10 + [1.0] * 10)[1] == "**worse**"
    assert solving_report.shares_difference([0.0] * 9, [1.0] * 9)[1] == "too few questions"
    text, verdict = solving_report.shares_difference([1.0, 0.0] * 10, [0.0, 1.0] * 10)
    assert verdict == "no difference shown" and text.startswith("+0.00 [-0.")


def test_a_table_counts_the_questions_that_every_way_was_asked() -> None:
    names = ("exact_match", "abstained_falsely", "calls", "prompt_tokens", "completion_tokens", "searches")
    cells = {
        f"{TWO_HOP}: {way}": {"n": n, "values": {name: [1.0] * n for name in names}}
        for way, n in zip(solving_report.SECTIONS[-1].ways, range(3, 99), strict=False)
    }
    text = solving_report.written(solving_report.SECTIONS[-1], cells)
    assert "\nn = 3.\n" in text and f"| {ALWAYS} | 1.00 [0.44, 1.00] |  | 1.00 | 1.0 | 2 | 1.00 |  |" in text
    assert "Nothing is recorded yet." in solving_report.written(solving_report.SECTIONS[0], cells)


def test_the_page_is_that_of_the_recorded_results() -> None:
    assert solving.PAGE.read_text(encoding="utf-8") == solving_report.page(json.loads(solving.RESULTS.read_text()))
