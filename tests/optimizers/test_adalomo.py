"""AdaLomo: Adafactor without momentum, within the backward pass."""

import math

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.optimizers.adalomo import AdaLomo, adalomo_update, factored
from tests.optimizers.resumed import losses, same_after_a_checkpoint

WIDE = torch.float64


def test_formula_the_matrix_has_the_means_it_was_made_of():
    rows, columns = torch.tensor([1.0, 3.0], dtype=WIDE), torch.tensor([2.0, 1.0, 3.0], dtype=WIDE)
    found = factored(rows, columns)  # both means are 2
    assert found.tolist() == [[1.0, 0.5, 1.5], [3.0, 1.5, 4.5]]
    assert_close(found.mean(1), rows)
    assert_close(found.mean(0), columns)


def test_formula_an_update_is_relative_to_the_weight_and_limited():
    weight, gradient = torch.tensor([3.0, 4.0], dtype=WIDE), torch.tensor([2.0, -6.0], dtype=WIDE)
    second = torch.tensor([4.0, 4.0], dtype=WIDE)
    u = [2 / math.sqrt(4), -6 / math.sqrt(4)]  # 1 and -3: their root mean square is sqrt(5)
    size = math.sqrt((9 + 16) / 2)
    expected = [value / math.sqrt(5) * size for value in u]
    found = adalomo_update(weight, gradient, second, floor=1e-3)
    assert_close(found, torch.tensor(expected, dtype=WIDE), rtol=1e-12, atol=0)
    tiny = adalomo_update(weight * 0, gradient * 0.1, second, floor=1e-3)  # neither limited nor relative to zero
    assert_close(tiny, torch.tensor([0.1e-3, -0.3e-3], dtype=WIDE), rtol=1e-12, atol=0)


def test_equals_torchs_adafactor_while_that_does_not_lower_its_rate():
    draw = torch.Generator().manual_seed(0)
    start = [torch.randn(7, 5, generator=draw), torch.randn(5, generator=draw), torch.zeros(3, 4)]
    target = [torch.randn(x.shape, generator=draw) for x in start]
    ends = []
    for kind in ("ours", "theirs"):
        weights = [torch.nn.Parameter(x.clone()) for x in start]
        group = {"params": weights, "lr": 0.02}  # below 1 / sqrt(step)
        optimizer = AdaLomo().build([group]) if kind == "ours" else torch.optim.Adafactor([group], eps=(1e-30, 1e-3))
        for _ in range(12):
            loss = sum(((w - t) ** 3).abs().sum() for w, t in zip(weights, target, strict=True))
            if kind == "ours":
                optimizer.backward(loss, 0.0)
            else:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        ends.append([w.detach() for w in weights])
    assert_close(*ends, rtol=1e-5, atol=1e-6)


def test_its_state_is_a_row_and_a_column():
    weight = torch.nn.Parameter(torch.ones(100, 60))
    optimizer = AdaLomo().build([{"params": [weight], "lr": 0.1}])
    optimizer.backward((weight**2).sum(), 1.0)
    kept = sum(value.numel() for value in optimizer.state[weight].values() if isinstance(value, torch.Tensor))
    assert kept == 160


def test_learns(tmp_path):
    found = losses(tmp_path, AdaLomo(), rate=0.02)
    assert found[-1] < 0.5 * found[0]


def test_a_resumed_run_ends_at_the_same_bits(tmp_path):
    assert same_after_a_checkpoint(tmp_path, AdaLomo(), rate=0.01)


def test_limits_of_zero_are_refused():
    with pytest.raises(RecipeError, match="threshold must be above 0"):
        AdaLomo(threshold=0.0)
