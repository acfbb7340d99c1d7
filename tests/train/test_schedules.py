import math

import pytest

from espalier.errors import RecipeError
from espalier.train.schedules import factor


def test_formula_warm_up_rises_in_equal_steps_to_the_peak():
    found = [factor(step, 10, schedule="constant", warmup=3) for step in range(5)]
    assert found == [1 / 4, 2 / 4, 3 / 4, 1.0, 1.0]


def test_formula_warm_up_as_a_share_is_rounded_up():
    shares = [factor(step, 10, schedule="constant", warmup=0.15) for step in range(4)]
    assert shares == [factor(step, 10, schedule="constant", warmup=2) for step in range(4)]


def test_formula_cosine():
    found = [factor(step, 4, schedule="cosine", warmup=0) for step in range(4)]
    expected = [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    assert found == pytest.approx(expected, rel=1e-12)


def test_formula_linear_after_warm_up():
    found = [factor(step, 6, schedule="linear", warmup=2) for step in range(6)]
    assert found == pytest.approx([1 / 3, 2 / 3, 1.0, 0.75, 0.5, 0.25], rel=1e-12)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("warmup", [0, 0.5, 3, 50])
def test_property_every_step_of_a_run_learns_and_none_exceeds_the_peak(schedule, warmup):
    for steps in (1, 2, 7):
        assert all(0 < factor(step, steps, schedule=schedule, warmup=warmup) <= 1 for step in range(steps))


def test_an_unknown_schedule_is_refused():
    with pytest.raises(RecipeError, match="no schedule named 'cosin'"):
        factor(0, 1, schedule="cosin", warmup=0)
