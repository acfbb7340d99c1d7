"""Results: what is written is what is read, and every number has its interval."""

import json
import math

import pytest

from espalier.contracts import Row
from espalier.evaluation.compare import compare
from espalier.evaluation.evaluate import evaluate
from espalier.evaluation.results import Evaluation, Example, Metric, summarize
from tests.evaluation.tiny import PAIRS, RENDERER, SAID, tiny_role


def test_an_evaluation_survives_json():
    found = evaluate(tiny_role(), [*SAID[:3], *PAIRS[:2]], RENDERER, reference=tiny_role(1), max_tokens=3)
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_groups_survive_json_and_are_evaluations_by_themselves():
    rows = [Row(row, kind="odd" if number % 2 else "even") for number, row in enumerate(SAID[:5])]
    found = evaluate(tiny_role(), rows, RENDERER, max_tokens=3, by="kind")
    assert Evaluation.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    part = found.part("odd")
    assert part.metrics == found.groups["odd"] and [e.row for e in part.examples] == [1, 3] and part.rows == 2
    assert [change.n for change in compare(part, part)] == [2] * len(compare(part, part)) != []


def example(number: int, **scores: tuple[float, float]) -> Example:
    return Example(number, f"row {number}", str(number), "completion", "p", "r", None, scores)


def test_formula_a_number_is_the_ratio_of_sums_over_the_rows_that_have_it():
    rows = [example(0, perplexity=(2.0, 1.0)), example(1, perplexity=(2.0, 3.0)), example(2, ended=(1.0, 1.0))]
    found = summarize(rows, resamples=1000, seed=0)
    assert found["perplexity"].value == pytest.approx(math.exp(4 / 4), rel=1e-12)
    assert found["perplexity"].n == 2
    assert found["ended"] == Metric(1.0, None, None, 1)  # no interval from one row


def test_a_share_of_few_rows_is_not_certain():
    found = summarize([example(i, exact_match=(1.0, 1.0)) for i in range(10)], resamples=1000, seed=0)
    assert found["exact_match"].value == found["exact_match"].high == 1 and found["exact_match"].low < 0.75
