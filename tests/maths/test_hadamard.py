"""The Walsh-Hadamard transform and Fastfood."""

import pytest
import torch
from torch.testing import assert_close

from espalier.maths.hadamard import fastfood, hadamard, power_of_two


def test_formula_the_matrix_of_order_four():
    signs = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], dtype=torch.float64)
    assert_close(hadamard(torch.eye(4, dtype=torch.float64)), signs, rtol=0, atol=0)


def test_property_twice_is_n_times():
    x = torch.randn(3, 16, dtype=torch.float64)
    assert_close(hadamard(hadamard(x)), 16 * x, rtol=1e-12, atol=1e-12)


def test_formula_a_power_of_two():
    assert [power_of_two(n) for n in (1, 2, 3, 4, 5, 200)] == [1, 2, 4, 4, 8, 256]


@pytest.mark.parametrize(("d", "size"), [(5, 40), (60, 3000), (200, 20_000)])
def test_property_fastfood_keeps_length_and_is_linear(d, size):
    n = power_of_two(d)
    draw = torch.Generator().manual_seed(0)
    lengths = []
    for _ in range(10):
        theta = torch.randn(d, generator=draw)
        random = torch.randint(0, 2, (n,), generator=draw) * 2 - 1, torch.randperm(n, generator=draw)
        gauss = torch.randn(-(-size // n), n, generator=draw)
        found = fastfood(theta, *random, gauss, size)
        assert_close(fastfood(3 * theta, *random, gauss, size), 3 * found, rtol=1e-4, atol=1e-4)
        lengths.append(float(found.norm() / theta.norm()))
    assert abs(sum(lengths) / 10 - 1) < 0.1
