"""Several models under several conditions."""

import json

import pytest

from espalier.errors import RowError
from espalier.evaluation.conditions import Condition, closed, show_of
from espalier.evaluation.grid import Grid, measure, sentence
from espalier.lm.scripted import Scripted
from espalier.run import Loaded
from tests.evaluation.asked import row, told
from tests.evaluation.tiny import PAIRS, RENDERER

ROWS = [
    row(f"Where is {n}?", f"Town{n}", passages=[f"{n} is in Town{n}."], gold=[0], kind="odd" if n % 2 else "even")
    for n in range(24)
]
ASKED = [(condition, show_of(condition, ROWS, retriever=None, k=1, seed=0)) for condition in (
    Condition("closed"), Condition("given"), Condition("distractors", 2),
)]  # fmt: skip


def reads(prompt: str) -> str:
    """Answers from the passage that begins with what is asked for."""
    name = prompt.split()[-1].rstrip("?")
    lines = [line.partition("] ")[2] for line in prompt.splitlines() if line.startswith("[")]
    line = next((line for line in lines if line.startswith(f"{name} ")), "")
    return told(line.split()[-1].rstrip("."), line) if line else told("not stated")


def first_only(prompt: str) -> str:
    """Answers from the first passage."""
    line = next((line.partition("] ")[2] for line in prompt.splitlines() if line.startswith("[1a]")), "")
    return told(line.split()[-1].rstrip("."), line) if line else told("not stated")


def cells(name, reply, first=None, rows=ROWS, **options):
    loaded = Loaded(Scripted(reply), RENDERER, name)
    return measure(name, loaded, rows, ASKED, first=first or {}, resamples=100, **options)


@pytest.fixture(scope="module")
def grid() -> Grid:
    base = cells("base", first_only, by="kind")
    tuned = cells("sft", reads, {cell.condition: cell.evaluation for cell in base}, by="kind")
    return Grid("rows.jsonl", (*base, *tuned))


def test_each_model_is_measured_under_each_condition_and_compared_with_the_first(grid):
    assert (grid.targets, grid.conditions) == (["base", "sft"], ["closed", "given", "distractors=2"])
    exact = {(cell.target, cell.condition): cell.evaluation.metrics["exact_match"].value for cell in grid.cells}
    assert exact["sft", "given"] == exact["base", "given"] == exact["sft", "distractors=2"] == 1
    assert exact["base", "closed"] == 0 and 0 < exact["base", "distractors=2"] < 0.8
    assert not grid.cell("base", "given").changes
    words = {c.condition: next(x.word for x in c.changes if x.measure == "exact_match") for c in grid.cells[3:]}
    assert words == {"closed": "cannot say", "given": "cannot say", "distractors=2": "gained"}


def test_the_sentence_says_what_the_last_model_reaches_and_the_first(grid):
    told = sentence(grid)
    assert told.startswith("Exact match of sft on 24 rows: 0 closed-book (base 0: cannot say), 1.00 with its passages")
    assert "with 2 distractors (base 0." in told and told.endswith(": gained).")
    assert sentence(Grid("rows", tuple(cells("base", reads)))).endswith(
        "with its passages and 1.00 with 2 distractors."
    )
    assert sentence(Grid("rows", ())) == "Nothing was measured."


def test_groups_are_compared_by_themselves(grid):
    cell = grid.cell("sft", "distractors=2")
    assert set(cell.group_changes) == {"odd", "even"}
    assert {change.n for changes in cell.group_changes.values() for change in changes} == {12}


def test_everything_is_plain_for_json(grid):
    found = json.loads(json.dumps(grid.to_dict()))
    assert len(found["cells"]) == 6 and found["cells"][5]["evaluation"]["metrics"]["exact_match"]["value"] == 1
    assert found["cells"][5]["changes"][0]["word"]


def test_progress_names_model_and_condition():
    told = []
    cells("base", reads, progress=lambda what, done, of: told.append(what))
    assert told[0] == "base, closed: sampling" and told[-1] == "base, distractors=2: sampling"


def test_rows_that_are_no_questions_are_compared_as_they_are_and_refused_under_a_condition():
    loaded = Loaded(Scripted("", logprob=lambda prompt, said: -float(len(said))), RENDERER, "m")
    [cell] = measure("m", loaded, PAIRS, [(Condition("given"), None)], first={}, generate=False)
    assert sentence(Grid("pairs", (cell,))) == "Chosen likelier than rejected of m on 12 rows: 1.00."
    with pytest.raises(RowError, match="closed: none of 12 rows can be measured: no question"):
        measure("m", loaded, PAIRS, [(Condition("closed"), closed)], first={})
