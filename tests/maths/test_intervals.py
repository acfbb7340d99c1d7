"""Intervals by their formulas, by enumeration, and by how often they cover the truth."""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest

from espalier.maths.intervals import bootstrap, paired_bootstrap, paired_shares, wilson


def test_formula_bootstrap_of_three_rows_is_the_27_resamples():
    means = sorted(sum(drawn) / 3 for drawn in itertools.product([0.0, 1.0, 5.0], repeat=3))
    found = bootstrap([0.0, 1.0, 5.0], resamples=20_000, level=0.6)
    assert found.value == 2.0
    assert found.low == pytest.approx(means[math.floor(0.2 * 27)], abs=1e-12)
    assert found.high == pytest.approx(means[math.floor(0.8 * 27)], abs=1e-12)


def test_formula_bootstrap_of_a_ratio_is_of_the_sums():
    # 2 rows: (2 nats, 1 token) and (2 nats, 3 tokens); the four resamples have 4/2, 4/4, 4/4 and 4/6 nats a token
    found = bootstrap([[2.0, 1.0], [2.0, 3.0]], transform=np.exp, level=0.9)
    expected = [math.exp(1.0), math.exp(4 / 6), math.exp(2.0)]
    assert [found.value, found.low, found.high] == pytest.approx(expected, rel=1e-12)


def test_formula_paired_bootstrap_resamples_both_together():
    before, after = [1.0, 10.0, 100.0], [3.0, 12.0, 102.0]
    found = paired_bootstrap(before, after)
    assert [found.value, found.low, found.high] == pytest.approx([2.0, 2.0, 2.0], rel=1e-12)


def test_formula_paired_bootstrap_of_ratios_subtracts_after_the_transform():
    found = paired_bootstrap([[1.0, 1.0]], [[3.0, 1.5]], transform=np.exp)
    assert found.value == pytest.approx(math.exp(2) - math.e, rel=1e-12)


def test_formula_wilson():
    # p = 0.3, n = 10, z^2 = 3.8414588...
    z = NormalDist().inv_cdf(0.975)
    center = (3 + z * z / 2) / (10 + z * z)
    half = z * math.sqrt(10) / (10 + z * z) * math.sqrt(0.3 * 0.7 + z * z / 40)
    found = wilson(3, 10)
    assert [found.value, found.low, found.high] == pytest.approx([0.3, center - half, center + half], rel=1e-12)


def test_property_wilson_knows_that_ten_of_ten_is_not_certain():
    assert wilson(10, 10).high == 1.0 and wilson(10, 10).low == pytest.approx(0.7225, abs=1e-4)
    assert all(wilson(0, n).low == 0.0 and wilson(n, n).high == 1.0 for n in range(1, 200))


def test_formula_paired_shares():
    # 6 gained, 1 lost of 18: a = 7/20, b = 2/20
    half = NormalDist().inv_cdf(0.975) * math.sqrt((9 / 20 - (5 / 20) ** 2) / 20)
    found = paired_shares(6, 1, 18)
    assert [found.value, found.low, found.high] == pytest.approx([5 / 18, 0.25 - half, 0.25 + half], rel=1e-12)


@pytest.mark.parametrize(("gained", "sure"), [(4, False), (5, False), (6, True)])
def test_property_few_differing_rows_are_judged_as_by_the_exact_test(gained, sure):
    exact = 2 * 0.5**gained < 0.05  # McNemar's exact test with none lost
    assert (paired_shares(gained, 0, 100).low > 0) == sure == exact


def test_property_the_same_seed_gives_the_same_interval():
    values = np.arange(50.0) ** 2
    assert bootstrap(values, seed=1) == bootstrap(values, seed=1) != bootstrap(values, seed=2)


def test_property_bootstrap_covers_the_mean_of_a_skewed_distribution():
    chance = np.random.default_rng(0)
    found = [bootstrap(chance.exponential(size=60), resamples=500, seed=i) for i in range(300)]
    share = np.mean([interval.low <= 1.0 <= interval.high for interval in found])
    assert 0.88 < share < 0.98  # percentile intervals of 60 skewed values cover a little less than they say


def test_property_wilson_covers_a_small_share():
    n, p = 40, 0.07
    weights = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    covered = sum(w for k, w in enumerate(weights) if wilson(k, n).low <= p <= wilson(k, n).high)
    assert covered > 0.93


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="at least one row"):
        bootstrap([])
    with pytest.raises(ValueError, match="denominators above 0"):
        bootstrap([[1.0, 0.0]])
    with pytest.raises(ValueError, match="3 rows before and 2 after"):
        paired_bootstrap([1.0, 2.0, 3.0], [1.0, 2.0])
