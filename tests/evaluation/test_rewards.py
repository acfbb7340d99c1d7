"""A reward model measured: every number worked by hand from scores that are given."""

import math

import numpy as np
import pytest

from espalier.contracts import Row, Scores
from espalier.errors import RowError
from espalier.evaluation import metrics
from espalier.evaluation.compare import compare
from espalier.evaluation.evaluate import evaluate
from espalier.evaluation.rewards import case_of, of_scores
from espalier.maths.intervals import bootstrap_statistic


class Given:
    """Scores by the completion's text; None where the text is not known."""

    key = "the same for all"

    def __init__(self, **scores):
        self.scores, self.asked = scores, 0

    def score(self, rows):
        self.asked += len(rows)
        values = tuple(self.scores.get(row["completion"]) for row in rows)
        return Scores(values, tuple("" if value is not None else "not known" for value in values))


SCORER = Given(good=2.0, fair=1.0, bad=-1.0, worst=-1.0)
PAIRS = [
    {"prompt": "1", "chosen": "good", "rejected": "bad", "topic": "x"},  # margin 3
    {"prompt": "2", "chosen": "bad", "rejected": "fair", "topic": "x"},  # margin -2
    {"prompt": "3", "chosen": "bad", "rejected": "worst", "topic": "y"},  # a tie
]


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_formula_pairs():
    found = evaluate(SCORER, PAIRS, None, name="rm")
    values = {name: metric.value for name, metric in found.metrics.items()}
    assert values["pair_accuracy"] == pytest.approx((1 + 0 + 0.5) / 3)
    assert values["score_margin"] == pytest.approx(1 / 3)
    assert values["pair_log_loss"] == pytest.approx(-sum(math.log(sigmoid(m)) for m in (3, -2, 0)) / 3)
    # bins of 0.05 from 0.5: sigmoid(3) = 0.953 and right; sigmoid(2) = 0.881 and wrong; 0.5 and half right
    assert values["calibration_error"] == pytest.approx((1 - sigmoid(3) + sigmoid(2) + 0) / 3)
    assert found.metrics["pair_accuracy"].low is not None and found.metrics["calibration_error"].low is None
    assert (found.rows, found.tokens, found.examples[0].reference) == (3, SCORER.key, "good")


def test_formula_calibration_joins_a_bin_before_it_takes_the_distance():
    rows = np.array([[0.91, 1.0], [0.93, 0.0], [0.52, 1.0]])
    assert metrics.calibration_error(rows) == pytest.approx((abs(1.84 - 1) + abs(1 - 0.52)) / 3)
    assert metrics.calibration_error(np.array([[1.0, 1.0], [0.5, 0.5]])) == 0.0


def test_formula_spearman_with_ties():
    assert metrics.spearman(np.array([[1, 10], [2, 20], [9, 21]], float)) == pytest.approx(1.0)
    assert metrics.spearman(np.array([[1, 3], [2, 2], [3, 1]], float)) == pytest.approx(-1.0)
    # ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5)
    assert metrics.spearman(np.array([[1, 1], [5, 2], [5, 3], [7, 4]], float)) == pytest.approx(4.5 / math.sqrt(22.5))
    assert metrics.spearman(np.array([[1, 1], [1, 2]], float)) == 0.0


def test_formula_lists_average_their_comparisons():
    row = Row(prompt="p", completions=["bad", "fair", "good"], ranks=[3, 1, 1], scores=[0.1, 0.5, 0.4])
    case = case_of(row)
    assert case.targets == ("fair", "good", "bad") and case.references == ("fair",)
    found = of_scores(case, [1.0, 2.0, -1.0])
    assert found["pair_accuracy"] == (1.0, 1.0) and found["score_margin"] == (2.5, 1.0)
    assert found["best_picked"] == (1.0, 1.0), "either of the two best will do"
    assert found["list_correlation"][0] == pytest.approx(0.5)
    assert "calibration_error" not in found
    assert of_scores(case, [1.0, 2.0, 2.0])["best_picked"] == (0.5, 1.0)


def test_scores_rank_completions_where_there_are_no_ranks():
    case = case_of(Row(prompt="p", completions=["bad", "good"], scores=[1, 5]))
    assert case.targets == ("good", "bad")
    assert of_scores(case, [2.0, -1.0])["calibration_error"] == (pytest.approx(sigmoid(3)), 1.0)


@pytest.mark.parametrize("column", ["score", "label"])
def test_given_scores_are_correlated_over_all_rows(column):
    given = {"good": 0.9, "fair": 0.4, "bad": 0.1} if column == "score" else {"good": True, "fair": True, "bad": False}
    rows = [{"prompt": "p", "completion": text, column: value} for text, value in given.items()]
    found = evaluate(SCORER, rows, None).metrics["score_correlation"]
    expected = 1.0 if column == "score" else math.sqrt(0.75)
    assert found.value == pytest.approx(expected) and found.n == 3 and found.low <= found.value


def test_rows_are_split_by_a_column_and_compared_with_another_model():
    rows = PAIRS * 6
    found = evaluate(SCORER, rows, None, by="topic")
    assert found.groups["x"]["pair_accuracy"].value == 0.5 and found.groups["y"]["pair_accuracy"].n == 6
    better = evaluate(Given(good=2.0, bad=0.0, fair=-1.0, worst=-1.0), rows, None)
    changes = {change.measure: change for change in compare(found, better)}
    assert changes["pair_accuracy"].word == "gained" and changes["pair_log_loss"].word == "gained"
    assert "calibration_error" not in changes and "score_margin" not in changes


def test_a_correlation_is_compared_by_pairs_of_rows():
    rows = [{"prompt": str(n), "completion": name, "score": n % 4} for n, name in enumerate(["a", "b", "c", "d"] * 5)]
    first = evaluate(Given(a=3, b=2, c=1, d=0), rows, None)
    second = evaluate(Given(a=0, b=1, c=2, d=3), rows, None)
    [change] = compare(first, second)
    assert (change.before, change.after, change.word) == (pytest.approx(-1), pytest.approx(1), "gained")


def test_what_cannot_be_scored_is_left_out_and_counted():
    rows = [*PAIRS, {"prompt": "4", "chosen": "good", "rejected": "new"}, {"prompt": "5"}]
    found = evaluate(SCORER, rows, None)
    assert found.metrics["pair_accuracy"].n == 3 and found.skipped["not known"] == 1 and len(found.skipped) == 2
    with pytest.raises(RowError, match="none of 1 rows can be measured: not known"):
        evaluate(SCORER, rows[3:4], None)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"completion": "a"}, "missing 'prompt'"),
        ({"prompt": "p", "completion": "a"}, "nothing to compare a score with"),
        ({"prompt": "p", "completions": ["a", "b"]}, "without 'ranks' or 'scores'"),
        ({"prompt": "p", "completions": ["a", "b"], "ranks": [1]}, "'ranks' is not one number for each"),
        ({"prompt": "p", "completions": ["a", "b"], "scores": [1, None]}, "'scores' is not one number for each"),
        ({"prompt": "p", "completions": ["a", "b"], "ranks": [1, 1]}, "all ranks are equal"),
    ],
)
def test_rows_of_which_nothing_is_known_are_refused(row, sentence):
    with pytest.raises(RowError, match=sentence):
        case_of(Row(row))


def test_a_statistic_is_resampled_over_whole_rows():
    rows = np.arange(40, dtype=float).reshape(20, 2)
    found = bootstrap_statistic(rows, lambda drawn: float((drawn[:, 1] - drawn[:, 0]).mean()), resamples=50)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)
