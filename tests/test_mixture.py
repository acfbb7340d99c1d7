from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from espalier.errors import RowError
from espalier.mixture import mix, shares

TEN, THREE = np.arange(10), np.arange(10, 13)


def test_formula_shares():
    assert shares([30, 10], [None, None], [None, None]) == [30, 10]
    assert shares([3000, 10], [None, None], [20, 20]) == [20, 10]
    assert shares([30, 10], [2.0, 1.0], [None, None]) == [27, 13]  # 40 * 2/3 = 26.67, 40 * 1/3 = 13.33
    assert shares([30, 10], [3.0, None], [None, None]) == [30, 10]
    assert shares([30, 10], [0.0, 5.0], [10, None]) == [0, 20]


@given(
    st.lists(
        st.tuples(st.integers(1, 1000), st.floats(0.01, 100), st.none() | st.integers(1, 50)), min_size=1, max_size=6
    )
)
def test_property_shares_add_up_and_are_proportional(parts):
    sizes, weights, caps = zip(*parts, strict=True)
    given_rows = shares(sizes, weights, caps)
    total = sum(min(size, cap or size) for size, cap in zip(sizes, caps, strict=True))
    assert sum(given_rows) == total
    for count, weight in zip(given_rows, weights, strict=True):
        assert abs(count - total * weight / sum(weights)) < 1


def test_a_mixture_without_weights_gives_every_row_once():
    assert mix([TEN, THREE], [None, None], [None, None], seed=0).tolist() == list(range(13))


def test_weights_set_the_shares_by_repeating_or_choosing_rows():
    found = Counter(mix([TEN, THREE], [1.0, 1.0], [None, None], seed=0).tolist())
    first, second = (sum(found[n] for n in part.tolist()) for part in (TEN, THREE))
    assert sorted([first, second]) == [6, 7]
    assert max(found[n] for n in TEN.tolist()) == 1
    assert all(found[n] >= 2 for n in THREE.tolist())


def test_a_cap_limits_what_a_large_source_counts():
    found = mix([TEN, THREE], [None, None], [4, None], seed=0)
    assert len(found) == len(set(found.tolist())) == 7
    assert set(THREE.tolist()) <= set(found.tolist())


def test_the_choice_follows_from_the_seed():
    first, again, other = (mix([TEN, THREE], [1.0, 1.0], [None, None], seed=s).tolist() for s in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    ("weights", "caps", "message"),
    [([-1.0, 1.0], [None, None], "-1"), ([0.0, 0.0], [None, None], "above 0"), ([None, None], [0, None], "at least 1")],
)
def test_a_mixture_that_cannot_be(weights, caps, message):
    with pytest.raises(RowError, match=message):
        mix([TEN, THREE], weights, caps, seed=0)
