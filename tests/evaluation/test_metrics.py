"""Each metric by its formula, on rows small enough to count by hand."""

import math

import numpy as np
import pytest

from espalier.evaluation import metrics


def test_formula_perplexity_and_bits():
    assert metrics.perplexity(np.log(np.array([8.0]))) == pytest.approx([8.0], rel=1e-12)
    assert metrics.bits(np.array([3 * math.log(2) / 4])) == pytest.approx([0.75], rel=1e-12)


def test_formula_preferred_knows_ties():
    assert [metrics.preferred(*pair) for pair in ((2, 1), (1, 2), (1, 1), (1, 1 + 1e-6))] == [1, 0, 0.5, 0.5]


def test_formula_picked_shares_ties():
    assert metrics.picked([-3.0, -1.0, -2.0], 1) == 1
    assert metrics.picked([-3.0, -1.0, -2.0], 0) == 0
    assert metrics.picked([-1.0, -1.0, -2.0], 0) == 0.5
    assert metrics.picked([-1.0, -1.0, -2.0], 2) == 0


def test_formula_repetition():
    # a b a b a: the 2-grams ab ba ab ba, of which two differ
    assert metrics.repetition("a b A b a", 2) == pytest.approx(0.5, rel=1e-12)
    assert metrics.repetition("one two three four five") == 0
    assert metrics.repetition("하하하하하하") == pytest.approx(2 / 3, rel=1e-12)
    assert metrics.repetition("too short") is None


def test_same_script():
    assert metrics.same_script("어디야?", "집이야") == 1
    assert metrics.same_script("어디야?", "At home.") == 0
    assert metrics.same_script("어디야?", "42") is None
