from collections import Counter

import pytest

from espalier.catalogue import build, options
from espalier.contracts import Row
from espalier.errors import RecipeError
from espalier.synthesis.flan import Flan, sampling_rates

TEMPLATES = {
    "mood": [
        {"prompt": "Is this kind? {text}\n{options}", "completion": "{label}"},
        {"prompt": "{text}\n\nWhat mood is it?\n{options}", "completion": "{label}"},
    ],
    "sum": [{"prompt": "What is {a} + {b}?", "completion": "{c}"}],
    "words": [{"prompt": "Translate {{x}}: {text}", "completion": "{label}"}],
}


def mood(n):
    return Row({"task": "mood", "cluster": "feeling", "text": f"Text {n}", "options": ["yes", "no"], "label": "yes"},
               f"rows, row {n}")  # fmt: skip


def sums(n):
    return Row({"task": "sum", "cluster": "numbers", "a": n, "b": 1, "c": n + 1}, f"sums, row {n}")


def test_formula_sampling_rates():
    assert sampling_rates([10, 3000, 90_000], cap=3000) == pytest.approx([10 / 6010, 3000 / 6010, 3000 / 6010])
    assert sampling_rates([1, 3], cap=10) == [0.25, 0.75]


def test_property_an_epoch_has_the_rates_of_the_formula():
    rows = [mood(n) for n in range(50)] + [sums(n) for n in range(7)]
    found = Flan(TEMPLATES, cap=20).curate(rows)
    counts = Counter(row["task"] for row in found)
    rates = sampling_rates([50, 7], cap=20)
    assert [counts[task] / counts.total() for task in ("mood", "sum")] == pytest.approx(rates)
    assert Counter(lost.reason for lost in found.dropped) == {"beyond 20 rows of its task": 30}


def test_a_row_is_written_in_one_of_the_wordings():
    written = list(Flan(TEMPLATES).curate([mood(n) for n in range(20)]))
    prompts = {row["prompt"].replace(row["text"], "X") for row in written}
    assert prompts == {"Is this kind? X\nOPTIONS:\n- yes\n- no", "X\n\nWhat mood is it?\nOPTIONS:\n- yes\n- no"}
    assert {row["completion"] for row in written} == {"yes"} and written[0]["options"] == ["yes", "no"]
    assert written == list(Flan(TEMPLATES).curate([mood(n) for n in range(20)]))
    assert written != list(Flan(TEMPLATES, seed=1).curate([mood(n) for n in range(20)]))


def test_a_text_with_braces_is_a_text():
    row = Row(task="sum", a="{b}", b="{0.__class__}", c="x")
    assert next(Flan(TEMPLATES).curate([row]))["prompt"] == "What is {b} + {0.__class__}?"


def test_a_held_out_cluster_is_never_trained_and_all_of_it_measured():
    rows = [mood(1), sums(1), sums(2)]
    flan = Flan(TEMPLATES, held_out=("feeling",))
    trained = flan.curate(rows)
    assert [row["task"] for row in trained] == ["sum", "sum"]
    assert [(lost.where, lost.reason, lost.detail) for lost in trained.dropped] == [
        ("rows, row 1", "held out", "feeling")
    ]
    measured = Flan(TEMPLATES, held_out=("feeling",), part="held_out").curate(rows)
    assert [row["task"] for row in measured] == ["mood"] and len(measured.dropped) == 2


def test_a_task_without_a_cluster_is_its_own():
    row = Row(task="sum", a=1, b=1, c=2)
    assert not list(Flan(TEMPLATES, held_out=("sum",)).curate([row]))


def test_what_cannot_be_written_is_dropped():
    found = Flan(TEMPLATES).curate([Row(task="sum", a=1, b=None, c=2), Row(task="none"), sums(1)])
    assert len(list(found)) == 1
    assert {lost.reason for lost in found.dropped} == {
        "missing 'b', which a template asks for",
        "no template for its task",
    }


def test_options_that_cannot_be():
    with pytest.raises(RecipeError, match="'sum' is a table of prompt and completion"):
        Flan({"sum": [{"prompt": "x"}]})
    with pytest.raises(RecipeError, match="cap"):
        Flan(TEMPLATES, cap=0)
    assert build(options(Flan(TEMPLATES))) == Flan(TEMPLATES)
