"""Measuring objectives under a known reward: rows, cells, the page; and, slowly, that a wrong sign is found out."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import objectives, objectives_measure, objectives_report, objectives_rows, objectives_scores
from benchmarks.objectives_cells import OBJECTIVES, Cell, Size, rate_of, sections, trained
from benchmarks.objectives_figures import Reward
from benchmarks.objectives_rows import Rows, made
from espalier.catalogue import addresses
from espalier.contracts import Row

QUICK = Size.quick()
N = 40


def entry(reward: float, *, whole: str = "1" * N, **more: Any) -> dict[str, Any]:
    """What a cell might have measured."""
    costs = {"cpu": 10.0, "seconds": 11.0, "reference": 1.0, "peak": 300.0, "steps": 6, "tokens": 9000}
    both = {"rewards": [reward] * N, "kl": [abs(reward)] * N, "ended": "1" * N, "whole": whole, "length": [40] * N}
    return {**costs, **both, "pairs": "10" * (N // 2), "agreed": "1110", "right": "1111", "best": 0.87, **more}


def test_every_offline_objective_is_measured() -> None:
    known = {address.split("/")[1] for address in addresses() if address.startswith("objectives/")}
    assert set(OBJECTIVES) | {"reward_model"} == known


def test_noise_turns_the_same_pairs_around() -> None:
    clean, noisy = made(Rows(n=50)), made(Rows(n=50, noise=0.4))
    assert len(clean) == len(noisy) == 50
    assert all(row["chosen_reward"] > row["rejected_reward"] for row in clean)
    turned = [a["chosen"] == b["rejected"] and a["rejected"] == b["chosen"] for a, b in zip(clean, noisy, strict=True)]
    assert sum(turned) == 20 and sum(a["chosen"] == b["chosen"] for a, b in zip(clean, noisy, strict=True)) == 30


def test_thumbs_are_as_many_as_asked_for_and_the_liked_are_theirs() -> None:
    asked = Rows("thumbs", 55, noise=0.2, imbalance=10)
    rows = made(asked)
    assert len(rows) == 55 and sum(row["reward"] > 0 for row in rows) == 50
    assert sum((row["reward"] > 0) != row["label"] for row in rows) == 11
    liked = made(replace(asked, kind="liked"))
    assert [row["completion"] for row in liked] == [row["completion"] for row in rows if row["label"]]
    assert not any("label" in row for row in liked)


def test_what_is_asked_shares_no_name_with_what_is_learned() -> None:
    learned = {row["prompt"] for row in made(Rows(n=100))}
    assert not learned & {*objectives_rows.prompts(100), *(row["prompt"] for row in made(Rows(n=100, split="test")))}


def test_a_text_is_whole_if_all_its_words_are_known() -> None:
    assert all(objectives_rows.whole(row["chosen"]) for row in made(Rows(n=100, split="test")))
    assert not objectives_rows.whole("I find it lovvely.") and not objectives_rows.whole(" . ")


def test_formula_nobody_agrees_more_often_with_a_doubtful_judge() -> None:
    rows = [{"chosen_reward": 1.0, "rejected_reward": -1.0}, {"chosen_reward": 0.0, "rejected_reward": 0.5}]
    wanted = (1 / (1 + math.exp(-2)) + 1 / (1 + math.exp(-0.5))) / 2
    assert objectives_rows.bayes(rows, 1.0) == pytest.approx(wanted, rel=1e-12)
    assert objectives_rows.bayes(rows, 0.0) == 1.0


def test_a_cell_is_known_by_everything_that_decides_what_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = trained("dpo", Rows(n=96), learning_rate=rate_of("dpo"))
    both = sections(QUICK)
    assert both["objectives"]["dpo"].key(QUICK) == cell.key(QUICK) == Cell("dpo", Rows(n=96)).key(QUICK)
    others = [
        cell.key(Size()),
        replace(cell, adapter=False).key(QUICK),
        replace(cell, rows=Rows(n=96, noise=0.2)).key(QUICK),
        replace(cell, options={"beta": 0.2}).key(QUICK),
    ]
    from espalier.objectives.dpo import DPO

    monkeypatch.setitem(DPO.presets["small"], "epochs", 2.0)
    others.append(Cell("dpo", Rows(n=96)).key(QUICK))
    assert len({*others, both["objectives"]["ipo"].key(QUICK)}) == 6 and cell.key(QUICK) not in others[:4]


def test_sft_reads_as_many_tokens_as_the_others() -> None:
    assert trained("sft", Rows()).described()["options"]["epochs"] == 2.0
    assert trained("sft", Rows("liked")).described()["options"]["epochs"] == 1.0


def test_a_rate_that_breaks_the_text_is_not_the_best() -> None:
    start = entry(0.0)
    found = {rate_of("dpo"): entry(0.1), 5e-4: entry(0.6), 1e-3: entry(0.9, whole="1" * 20 + "0" * 20)}
    assert objectives_report.best(found, start) == 5e-4
    assert "0.0005 is clearly better than the preset's" in objectives_report.verdict("dpo", found, start)
    preset, bad = rate_of("dpo"), found[1e-3]
    assert "is the best of those that" in objectives_report.verdict("dpo", {preset: entry(0.1), 1e-3: bad}, start)
    assert "breaks at every rate" in objectives_report.verdict("dpo", {preset: bad, 1e-3: bad}, start)
    assert "no other rate" in objectives_report.verdict("dpo", {preset: bad}, start)
    assert "was not measured" in objectives_report.verdict("dpo", {5e-4: bad}, start)


def test_seeds_count_together_and_apart() -> None:
    first, second = Reward.of([entry(0.2), entry(0.4)]), Reward.of([entry(0.1)])
    assert first.mean() == pytest.approx(0.3) and first.spread() == "0.20 to 0.40" and second.spread() == "one seed"
    assert first.less(second).value == pytest.approx(0.2)


def results() -> dict[str, Any]:
    """As if everything had been measured."""
    cells = {}
    for named in sections(QUICK).values():
        for label, cell in named.items():
            reward = 0.0 if label == "start" else -0.3 if label.startswith("sft") else 0.5
            cells[cell.key(QUICK)] = {"cell": cell.described(), **entry(reward)}
    machine = {"cpu": "A CPU", "date": "today", "torch": "2", "load": 1.0}
    size = {"pairs": QUICK.pairs, "prompts": QUICK.prompts, "held_out": QUICK.held_out, "real": QUICK.real}
    return {"model": {"weights": "abc", "parameters": 5}, "size": size, "machine": machine, "cells": cells}


def test_the_page_answers_every_question() -> None:
    page = objectives_report.page(results())
    for name in OBJECTIVES:
        assert f"\n| {name} |" in page and f"\n- {name}: " in page
    assert "250 thumbs, 10 up to 1 down, 20% turned around: KTO raises the reward, +0.50" in page
    assert "against SFT +0.80 [+0.80, +0.80]: it beats SFT on the liked" in page
    assert "| 40% | robust_dpo | 0.50 |" in page and "- ORPO, LoRA: peak +0 MB against dpo, cached." in page
    assert "| doubtful | 0.002 | 0.75 [0.30, 0.95] | 0.87 |" in page
    assert "| hh_harmless_dev | bag of words | 0.75 [0.30, 0.95] | 4 |" in page
    assert "are measured; what is missing is not shown" not in page
    assert max(map(len, objectives_report.INTRODUCTION.splitlines())) <= 120


def test_a_page_of_part_of_it_says_what_there_is() -> None:
    found = results()
    plan = sections(QUICK)
    dpo, ipo = (plan["objectives"][name].key(QUICK) for name in ("dpo", "ipo"))
    start = plan["start"]["start"].key(QUICK)
    cells = {start: found["cells"][start], dpo: found["cells"][dpo], ipo: {"cell": {}, "failed": "RunError: no"}}
    page = objectives_report.page({**found, "cells": cells})
    assert "**3 of " in page and "cells are measured; what is missing is not shown.**" in page
    assert "with 1 of 1: dpo" in page and "- ipo failed: RunError: no" in page and "## Reward models" not in page


def test_what_is_known_is_not_measured_again(capsys: pytest.CaptureFixture[str]) -> None:
    cells, known = objectives.planned(sections(QUICK), "dpo"), results()["cells"]
    found = objectives.run(cells, QUICK, known, workers=1, minilm="", save=lambda found: pytest.fail("measured"))
    assert found == {cell.key(QUICK): known[cell.key(QUICK)] for cell in cells}
    assert {cell.objective for cell in cells} == {"start", "dpo"}
    with pytest.raises(SystemExit, match="no section or objective of that name"):
        objectives.planned(sections(QUICK), "nothing")


def test_the_page_is_that_of_the_recorded_results() -> None:
    recorded = json.loads(objectives.RESULTS.read_text(encoding="utf-8"))
    assert objectives.PAGE.read_text(encoding="utf-8") == objectives_report.page(recorded)


def test_learns_the_word_that_makes_an_answer_better() -> None:
    rows = [Row(prompt="?", chosen=f"it is good {i}", rejected=f"it is bad {i}") for i in range(20)]
    features = objectives_scores.bag(rows)
    weights = objectives_scores.fitted(features(["so good"] * 4) - features(["so bad"] * 4), 1e-3)
    assert (features(["good day"]) - features(["bad day"])) @ weights > 0
    assert objectives_scores.grams("A b, b") == {"a", "b", ",", "a b", "b ,", ", b"}


def test_property_an_untrained_model_is_where_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objectives_measure, "MODEL", "seedling")
    found = objectives_measure.behavior("seedling", Size(prompts=4, held_out=3))
    assert found["kl"] == [0.0] * 4 and found["pairs"] == "000"
    assert len(found["rewards"]) == len(found["whole"]) == len(found["ended"]) == 4


@pytest.mark.slow
def test_learns_what_is_liked_and_a_wrong_sign_the_opposite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESPALIER_CACHE", "")  # so that it is again as it was afterwards
    start = objectives_measure.measure(Cell("start", Rows()), QUICK)
    for noise, sign in ((0.0, 1), (1.0, -1)):
        cell = Cell("dpo", Rows(n=QUICK.pairs, noise=noise), {"learning_rate": 1e-3})
        found = objectives_measure.measure(cell, QUICK)
        change = Reward.of([found]).less(Reward.of([start]))
        assert min(sign * change.low, sign * change.high) > 0, (noise, change)
        right = found["pairs"].count("1") / QUICK.held_out
        assert sign * (right - 0.5) > 0.25 and sum(found["kl"]) > 0
