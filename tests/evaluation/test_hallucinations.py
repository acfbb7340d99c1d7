"""Hallucinations found and missed: by hand, against scikit-learn, by type and task, and what silence costs."""

import numpy as np
import pytest

from espalier.contracts import Row
from espalier.evaluation.hallucinations import ALL, detection, f1, overlap, precision, recall
from espalier.hallucinations import Found, Span

TEXT = "abcdefghij"


def row(*labels: tuple[int, int, str], task: str = "QA", **more: object) -> Row:
    found = [{"start": start, "end": end, "label_type": name, **more} for start, end, name in labels]
    return Row(completion=TEXT, labels=found, task=task)


ROWS = [
    row((0, 4, "Evident Conflict")),
    row((0, 2, "Subtle Baseless Info"), (6, 10, "Evident Conflict"), task="Summary"),
    row(task="Summary"),
    row(),
]
FOUND = [
    Found((Span(2, 8, "conflict"),), 0.4),
    Found((Span(0, 2, "conflict"),), 0.8, lost=("x",)),
    Found((Span(0, 1, "baseless"),), 0.9),
    Found(reason="nothing said"),
]


def test_formula_characters_are_summed_before_they_are_divided():
    found = detection(ROWS, FOUND, resamples=50)
    # marked and labeled: 2 + 2; marked: 6 + 2 + 1; labeled: 4 + 6
    spans = found.spans[ALL]
    assert (spans.precision.value, spans.recall.value, spans.n) == (4 / 9, 4 / 10, 4)
    assert spans.f1.value == pytest.approx(2 * 4 / 19, rel=1e-12) and spans.f1.low <= spans.f1.value <= spans.f1.high
    said = found.responses[ALL]
    assert (said.precision.value, said.recall.value) == (2 / 3, 1.0) and (found.unknown, found.lost) == (1, 1)


def test_formula_by_task_kind_and_type():
    found = detection(ROWS, FOUND, resamples=50)
    assert set(found.spans) == set(found.responses) == {ALL, "QA", "Summary"}
    assert found.spans["QA"].recall.value == 2 / 4 and found.spans["Summary"].precision.value == 2 / 3
    assert found.recall["Evident Conflict"].value == 2 / 8 and found.recall["Subtle Baseless Info"].value == 1.0
    assert found.kinds["conflict"].precision.value == 2 / 8 and found.kinds["baseless"].recall.value == 0.0


def test_what_is_true_can_be_left_out():
    true = [row((0, 4, "Evident Baseless Info"), implicit_true=True)]
    found = [Found((Span(0, 4),), 0.6)]
    assert detection(true, found, resamples=20).responses[ALL].f1.value == 1.0
    assert detection(true, found, implicit_true=False, resamples=20).responses[ALL].f1.value == 0.0


def test_formula_overlap_leaves_out_spaces_and_counts_nothing_twice():
    assert overlap("a b c", [Span(0, 3), Span(2, 5)], [Span(0, 4)]) == (2, 3, 2)
    assert overlap("abc", [], []) == (0, 0, 0) and f1(np.zeros((1, 3))) == 0.0


def test_equals_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    chance = np.random.default_rng(0)
    for share in (0.0, 0.2, 0.9):
        labels, marks = chance.random(50) < 0.4, chance.random(50) < share
        counts = np.stack([labels & marks, marks, labels], 1).astype(float)
        theirs = metrics.precision_recall_fscore_support(labels, marks, average="binary", zero_division=0)
        np.testing.assert_allclose((precision(counts), recall(counts), f1(counts)), theirs[:3], rtol=1e-12)


def test_property_what_is_found_whole_is_perfect():
    whole = [Found(tuple(Span(at["start"], at["end"]) for at in one["labels"]), 0.0) for one in ROWS]
    found = detection(ROWS, whole, resamples=20)
    assert found.spans[ALL].f1.value == found.responses[ALL].f1.value == 1.0 and found.kinds == {}


def test_each_row_needs_its_own():
    with pytest.raises(ValueError, match="4 rows and 1 detections"):
        detection(ROWS, FOUND[:1])
