"""Schedule-free AdamW: the library's own steps, the average where it is measured, counts that survive a checkpoint."""

import sys

import pytest
import torch
from torch.testing import assert_close

from espalier.errors import RecipeError
from espalier.optimizers.schedule_free import ScheduleFree
from espalier.train import loop
from espalier.train.averaging import averaged
from tests.optimizers.resumed import job, losses, same_after_a_checkpoint

schedulefree = pytest.importorskip("schedulefree")


def test_formula_the_average_of_three_steps_at_a_constant_rate():
    # beta1 = 0: gradients are taken at z, whose plain mean is x; v / (1 - beta2^t) of a constant gradient is its square
    weight = torch.nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    optimizer = ScheduleFree(beta1=1e-9, eps=1e-12).build([{"params": [weight], "lr": 0.1}])
    for _ in range(3):
        weight.grad = torch.full_like(weight, 5.0)
        optimizer.step()
    state = optimizer.state[weight]
    assert_close(state["z"], torch.tensor([1 - 3 * 0.1], dtype=torch.float64), rtol=1e-9, atol=0)
    assert state["k"] == 3 and state["weight_sum"] == pytest.approx(3 * 0.1**2)


def test_equals_the_library():
    ends = []
    for build in (lambda group: ScheduleFree(weight_decay=0.1).build([group]),
                  lambda group: schedulefree.AdamWScheduleFree([group], weight_decay=0.1, foreach=False)):  # fmt: skip
        weights = torch.nn.Parameter(torch.linspace(-1, 1, 37))
        optimizer = build({"params": [weights], "lr": 0.01})
        optimizer.train()
        for step in range(8):
            optimizer.zero_grad()
            ((weights - step) ** 2).sum().backward()
            optimizer.step()
        with averaged(optimizer):
            ends.append(weights.detach().clone())
    assert_close(*ends, rtol=1e-5, atol=1e-6)


def test_the_average_is_what_is_measured_and_training_goes_on_from_the_other(tmp_path, monkeypatch):
    made = job(tmp_path, ScheduleFree(), rate=0.01, hold=True)
    modes, real = [], loop.evaluate

    def watched(given):
        modes.append(given.optimizer.param_groups[0]["train_mode"])
        return real(given)

    monkeypatch.setattr(loop, "evaluate", watched)
    loop.fit(made)
    assert modes == [False] * 3
    assert made.optimizer.param_groups[0]["train_mode"] is True


def test_an_optimizer_without_an_average_is_left_alone():
    with averaged(torch.optim.SGD([torch.nn.Parameter(torch.ones(1))])) as nothing:
        assert nothing is None


def test_learns(tmp_path):
    found = losses(tmp_path, ScheduleFree(), rate=0.01)
    assert found[-1] < 0.5 * found[0]


def test_a_resumed_run_ends_at_the_same_bits(tmp_path):
    assert same_after_a_checkpoint(tmp_path, ScheduleFree(), hold=True)


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "schedulefree", None)
    with pytest.raises(RecipeError, match=r"pip install 'espalier-lm\[optimizers\]'"):
        ScheduleFree().build([])
