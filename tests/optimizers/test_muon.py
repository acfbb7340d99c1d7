"""Muon: orthogonal steps for hidden matrices, AdamW for the rest, one state for both."""

import math

import pytest
import torch

from espalier.optimizers.muon import Muon


def weights():
    draw = torch.Generator().manual_seed(0)
    shapes = {"embed_tokens.weight": (12, 6), "layer.weight": (8, 6), "norm.weight": (6,), "lm_head.weight": (12, 6)}
    return {name: torch.nn.Parameter(torch.randn(shape, generator=draw)) for name, shape in shapes.items()}


def test_only_hidden_matrices_are_orthogonalized_and_all_weights_are_trained():
    given = weights()
    optimizer = Muon().build([{"params": list(given.items()), "lr": 0.1}])
    first, second = optimizer.param_groups
    assert [p is given["layer.weight"] for p in first["params"]] == [True]
    assert len(second["params"]) == 3
    assert {group["lr"] for group in optimizer.param_groups} == {0.1}


def test_formula_a_step_has_equal_singular_values_and_the_rms_of_adamw():
    # W <- W - lr * 0.2 * sqrt(max(8, 6)) * O, where O has singular values near 1 (arXiv:2502.16982, eq. 4)
    weight = torch.nn.Parameter(torch.zeros(8, 6))
    optimizer = Muon(weight_decay=0.0).build([{"params": [("layer.weight", weight)], "lr": 0.1}])
    weight.grad = torch.randn(8, 6, generator=torch.Generator().manual_seed(1))
    optimizer.step()
    singular = torch.linalg.svdvals(weight.detach()) / (0.1 * 0.2 * math.sqrt(8))
    assert singular.min() > 0.6  # five iterations leave them between about 0.7 and 1.2
    assert singular.max() < 1.3


def test_the_state_is_shared_and_a_rate_set_on_the_groups_counts():
    given = weights()
    optimizer = Muon(weight_decay=0.0).build([{"params": list(given.items()), "lr": 0.1}])
    for weight in given.values():
        weight.grad = torch.ones_like(weight)
    before = {name: weight.detach().clone() for name, weight in given.items()}
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    optimizer.step()
    assert all(torch.equal(weight, before[name]) for name, weight in given.items())
    assert set(optimizer.state) == set(given.values())


@pytest.mark.parametrize("sign", [1, -1])
def test_learns_a_linear_map_and_a_flipped_sign_does_not(sign):
    draw = torch.Generator().manual_seed(2)
    inputs, target = torch.randn(64, 6, generator=draw), torch.randn(6, 8, generator=draw)
    weight = torch.nn.Parameter(torch.zeros(8, 6))
    optimizer = Muon(weight_decay=0.0).build([{"params": [("layer.weight", weight)], "lr": 0.2}])
    losses = []
    for _ in range(60):
        loss = (inputs @ weight.T - inputs @ target).square().mean()
        optimizer.zero_grad()
        (sign * loss).backward()
        optimizer.step()
        losses.append(loss.item())
    assert (losses[-1] < 0.2 * losses[0]) is (sign == 1)
