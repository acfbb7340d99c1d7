"""What one question takes is counted apart from others under way."""

from concurrent.futures import ThreadPoolExecutor

from espalier.lm.client import in_threads
from espalier.spending import carried, counting, spend


def test_amounts_add_up_inside_and_around():
    with counting() as outer:
        spend(calls=1)
        with counting() as inner:
            spend(calls=2, searches=1)
        spend(calls=3)
    assert inner == {"calls": 2, "searches": 1} and outer == {"calls": 6, "searches": 1}
    spend(calls=9)  # nobody counts
    assert outer["calls"] == 6


def test_questions_under_way_at_once_are_counted_apart():
    def solve(number):
        with counting() as spent:
            in_threads(carried(lambda _: spend(calls=1)), range(number), 4)
        return spent["calls"]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(solve, range(1, 9))) == list(range(1, 9))


def test_what_failed_is_counted_too():
    with counting() as spent:
        try:
            with counting():
                spend(calls=1)
                raise ValueError
        except ValueError:
            pass
    assert spent == {"calls": 1}
