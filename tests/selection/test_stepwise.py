"""The order of stepwise DPO: what the reference ranks right comes first."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.contracts import Row
from espalier.errors import RecipeError, RowError
from espalier.lm.scripted import Scripted
from espalier.selection.stepwise import Stepwise, steps_of


def test_formula_steps_of():
    assert steps_of([0.5, -1.0, 2.0, 0.1, -3.0], steps=2) == [1, 2, 1, 1, 2]
    assert steps_of([0.5, -1.0, 2.0], steps=3) == [2, 3, 1]
    assert steps_of([0.0, 0.0, 0.0, 0.0], steps=2) == [1, 1, 2, 2], "equals stay in their order"


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.integers(1, 5))
def test_property_steps_are_of_one_size_and_each_is_easier_than_the_next(margins, steps):
    found = steps_of(margins, steps=min(steps, len(margins)))
    sizes = Counter(found)
    assert (
        sorted(sizes) == list(range(1, min(steps, len(margins)) + 1)) and max(sizes.values()) - min(sizes.values()) <= 1
    )
    for step in list(sizes)[1:]:
        easier = [m for m, s in zip(margins, found, strict=True) if s < step]
        assert all(m <= min(easier, default=m) for m, s in zip(margins, found, strict=True) if s == step)


def reference(prompt, completion):
    """log p of a completion: the number in it."""
    return float(completion)


def pairs(*margins, **more):
    return [Row({"prompt": "p", "chosen": str(m), "rejected": "0", **more}, f"row {n}") for n, m in enumerate(margins)]


def lm():
    return Scripted(logprob=reference)


def test_rows_stay_where_they_are_and_learn_their_step():
    stepwise = Stepwise(lm=lm())
    made = list(stepwise.curate(pairs(-1, 3, 2, -2)))
    assert [(row["chosen"], row["reference_margin"], row["step"]) for row in made] == [
        ("-1", -1.0, 2), ("3", 3.0, 1), ("2", 2.0, 1), ("-2", -2.0, 2),
    ]  # fmt: skip
    assert stepwise.told(made) == [
        "step 1: 2 pairs, 100.0% ranked right by the reference",
        "step 2: 2 pairs, 0.0% ranked right by the reference",
    ]
    assert [row["step"] for row in Stepwise(lm=lm(), order="hard_first").curate(pairs(-1, 3, 2, -2))] == [1, 2, 2, 1]
    assert [row["step"] for row in Stepwise(order="given").curate(pairs(-1, 3, 2))] == [1, 1, 2]
    assert {row["step"] for row in Stepwise(lm=lm(), steps=1).curate(pairs(-1, 3))} == {1}


def test_datasets_are_ordered_by_how_many_pairs_the_reference_ranks_right():
    rows = [*pairs(9, -1, -1, data="hard"), *pairs(1, -5, 1, data="easy")]
    assert [row["step"] for row in Stepwise(lm=lm(), by="data").curate(rows)] == [2, 2, 2, 1, 1, 1]
    assert [row["step"] for row in Stepwise(order="given", by="data").curate(rows)] == [1, 1, 1, 2, 2, 2]
    made = list(Stepwise(lm=lm(), by="data").curate(rows))
    assert Stepwise(lm=lm(), by="data").told(made)[0].startswith("step 1 (easy): 3 pairs, 66.7%")


def test_what_cannot_be():
    with pytest.raises(RecipeError, match="at least 1"):
        Stepwise(steps=0)
    with pytest.raises(RecipeError, match="give a model"):
        list(Stepwise().curate(pairs(1)))
    with pytest.raises(RowError, match="1 pairs cannot be split into 2"):
        list(Stepwise(lm=lm()).curate(pairs(1)))
    with pytest.raises(RowError, match="missing 'data'"):
        list(Stepwise(lm=lm(), by="data").curate(pairs(1)))
