"""Sorting by comparisons: right with one that is right, and still an order with one that is not."""

import math
import random

import pytest

from espalier.maths.sorting import all_pairs, bubble_up, heap_sort


class Judge:
    """Knows the true rank of each, and counts."""

    def __init__(self, truth):
        self.truth, self.asked = truth, []

    def __call__(self, pairs):
        self.asked += pairs
        return [float(self.truth[a] < self.truth[b]) + 0.5 * (self.truth[a] == self.truth[b]) for a, b in pairs]


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 33])
def test_property_a_perfect_judge_sorts(n):
    truth = random.Random(n).sample(range(n), n)
    ordered = sorted(range(n), key=truth.__getitem__)
    assert all_pairs(n, Judge(truth))[0] == heap_sort(n, Judge(truth)) == bubble_up(n, Judge(truth), n) == ordered
    assert bubble_up(n, Judge(truth), 3)[:3] == ordered[:3]


def test_property_where_all_are_equal_they_keep_their_order():
    judge = Judge([0] * 20)
    assert all_pairs(20, judge)[0] == heap_sort(20, judge) == bubble_up(20, judge, 10) == list(range(20))


@pytest.mark.parametrize("n", [2, 8, 40, 100])
def test_formula_comparisons(n):
    judges = [Judge(random.Random(n).sample(range(n), n)) for _ in range(3)]
    all_pairs(n, judges[0])
    heap_sort(n, judges[1])
    bubble_up(n, judges[2], 10)
    assert len(judges[0].asked) == n * (n - 1) / 2
    assert len(judges[1].asked) <= n * math.log2(n) + n
    assert len(judges[2].asked) <= 10 * (n - 1)
    for judge in judges:
        assert len(set(judge.asked)) == len(judge.asked), "no pair is compared twice"


def test_formula_points():
    order, points = all_pairs(3, lambda pairs: [{(0, 1): 0.0, (0, 2): 0.5, (1, 2): 1.0}[pair] for pair in pairs])
    assert (order, points) == ([1, 0, 2], [0.5, 2.0, 0.5])


def test_property_a_judge_that_contradicts_himself_still_leaves_an_order():
    def circle(pairs):
        return [float((b - a) % 3 == 1) for a, b in pairs]

    for order in (all_pairs(9, circle)[0], heap_sort(9, circle), bubble_up(9, circle, 9)):
        assert sorted(order) == list(range(9))
