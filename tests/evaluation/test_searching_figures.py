"""Pipelines side by side: paired differences, groups, costs, and the sentence about them."""

import json

import pytest

from espalier.evaluation.results import Measure
from espalier.evaluation.searching_figures import compared, costs, difference, level_for
from espalier.evaluation.searching_page import cost, html
from espalier.evaluation.solving import Outcome
from tests.evaluation.searches import asked

MEASURES = {"ndcg@10": Measure("nDCG@10", "higher"), "exact_match": Measure("exact match", "higher", share=True)}


def outcomes(values, name="ndcg@10", **more):
    return {f"q{n}": Outcome(f"q{n}", {name: value}, n / 1000, **more) for n, value in enumerate(values, 1)}


def sided(**named):
    return compared(named, MEASURES, {}, {}, about={"index": "x.kb"})


def test_a_clear_difference_is_said():
    found = sided(bm25=outcomes([0.1, 0.3] * 15), hybrid=outcomes([0.5, 0.6] * 15))
    change = found.columns["hybrid"].changes["ndcg@10"]
    assert change.difference == pytest.approx(0.35) and change.word == "gained" and not found.columns["bm25"].changes
    assert found.verdict.startswith("hybrid is best: on 30 questions nDCG@10 is 0.550 for hybrid and 0.200 for bm25")


def test_what_may_be_chance_is_said():
    found = sided(bm25=outcomes([0.1, 0.9] * 10), other=outcomes([0.9, 0.2] * 10), third=outcomes([0.0, 0.01] * 10))
    assert found.verdict.startswith("Which is best cannot be said") and "other" in found.verdict
    assert found.told == "With 95 % confidence, all 3 pipelines taken together. It is better than third (0.005)."


def test_few_questions_prove_nothing():
    found = sided(bm25=outcomes([0.0] * 9), hybrid=outcomes([1.0] * 9))
    assert found.columns["hybrid"].changes["ndcg@10"].word == "cannot say"


def test_one_pipeline_or_none_is_no_comparison():
    assert sided(bm25=outcomes([0.5] * 3)).verdict == "On 3 questions nDCG@10 is 0.500 for bm25."
    assert sided().verdict.startswith("Nothing can be compared")


def test_differences_are_of_the_questions_that_both_have():
    change = difference("ndcg@10", MEASURES["ndcg@10"], outcomes([0.1, 0.2, 0.4]), outcomes([0.2, 0.5]))
    assert change is not None and change.n == 2 and change.difference == pytest.approx(0.2)
    assert difference("exact_match", MEASURES["exact_match"], outcomes([0.1]), outcomes([0.2])) is None


def test_formula_the_level_of_several_comparisons():
    assert [level_for(n) for n in (1, 2, 6)] == pytest.approx([0.95, 0.95, 0.99])


def test_formula_costs():
    found = costs(outcomes([0.0] * 20, spent={"calls": 2, "other": 1}))
    assert found == pytest.approx({"calls": 2.0, "seconds": 0.0105, "seconds_p95": 0.01905})
    assert (cost("seconds", 0.0105), cost("seconds", 2.0), cost("calls", 2.0)) == ("10.5 ms", "2.00 s", "2.00")


def test_a_pipeline_with_a_problem_has_numbers_and_wins_nothing():
    parts = {"bm25": outcomes([0.1, 0.3] * 10), "upr": outcomes([0.9] * 12), "gone": {}}
    problems = {"upr": "stopped at question 13", "gone": "stopped at question 1"}
    found = compared(parts, MEASURES, {"en": ["q1", "q2"]}, problems, about={})
    assert list(found.columns) == ["bm25", "upr"] and found.columns["upr"].n == 12 and "bm25" in found.verdict
    assert found.groups["en"]["bm25"].n == 2


def test_the_page_holds_everything_and_no_markup_of_documents():
    hits = [{"document": "<script>.md", "start": 0, "end": 9, "score": 1.0}]
    one, two = outcomes([0.0, 1.0, 1.0], hits=hits), outcomes([1.0, 1.0, 1.0], answer="<b>x</b>")
    found = compared({"bm25": one, "a+b": two}, MEASURES, {"en": ["q1"]}, {"c": "<i>no</i>"}, about={"index": "x"})
    page = html(found, asked(), {"bm25": one, "a+b": two})
    assert "Where was Belmi Dorvan born?" in page and "mill of Orrin" not in page
    assert "&lt;script&gt;" in page and "<script>" not in page and "<b>x" not in page and "<i>no" not in page
    told = json.loads(json.dumps(found.to_dict()))
    assert told["pipelines"]["a+b"]["metrics"]["ndcg@10"]["value"] == 1.0 and told["problems"] == {"c": "<i>no</i>"}
