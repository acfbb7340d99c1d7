"""What every pairwise objective of the catalogue promises, asked once for all of them."""

import math

import pytest
import torch
from torch.testing import assert_close

from espalier.catalogue import addresses, load
from espalier.errors import RecipeError
from espalier.models.roles import Models, Role
from espalier.objectives.dpo import DPO
from espalier.train.objective import Pairs, require_not_negative, require_positive, require_share, rewards, sides
from espalier.train.step import optimize
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from espalier.trees.tree import Field, Tree
from tests.train.toys import Kept, branch, here, pair, prepared, small

EXACT = {"rtol": 1e-9, "atol": 1e-12}
PAIRWISE = [load(address) for address in addresses("objectives") if issubclass(load(address), Pairs)]
TREES = [pair(seed, weight=1.0 + seed % 3) for seed in range(8)]
SIZES = {"1x8": [8], "3+5": [3, 5], "8x1": [1] * 8}  # pieces, and their examples

every_pairwise = pytest.mark.parametrize("method", PAIRWISE, ids=lambda cls: cls.__name__)


def models():
    """A policy in float64, and another model as its reference."""
    return Models(Role(Engine(small(0).double())), reference=Role(Engine(small(1).double())))


def gradient(objective, trees, **changes):
    """Loss and gradient of a batch."""
    roles = models()
    keeper = Kept(roles.policy.inner.model)
    forest = prepared(objective, roles, trees)
    for name, value in changes.items():
        setattr(forest, name, value)
    report = optimize(objective, roles, forest, keeper, max_tokens=1, max_norm=0.0)
    return report["loss"], keeper.gradient


@every_pairwise
def test_property_eight_by_one_is_three_and_five_is_one_by_eight(method, monkeypatch):
    found = {}
    for name, sizes in SIZES.items():
        ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
        groups = [list(range(end - size, end)) for end, size in zip(ends, sizes, strict=True)]
        monkeypatch.setattr(Forest, "pieces", lambda *_, groups=groups, **__: groups)
        found[name] = gradient(method(), TREES)
    assert float(found["1x8"][1].abs().max()) > 1e-6
    assert_close(found["3+5"], found["1x8"], **EXACT)
    assert_close(found["8x1"], found["1x8"], **EXACT)


@every_pairwise
def test_property_rows_in_another_order_and_prompts_computed_twice_change_nothing(method):
    long = [*range(5, 20)]  # the prompt is long enough to be shared
    index = {"chosen": Field([0], index="completion"), "rejected": Field([1], index="completion")}
    trees = [Tree.of([branch(long, [30 + n, 7]), branch(long, [40])], **index, weight=1.0) for n in range(4)]
    shared = gradient(method(), trees)
    assert_close(gradient(method(), trees[::-1]), shared, **EXACT)
    rounded = 1e-6 * float(shared[1].abs().max())  # the model's norms are in float32
    assert_close(gradient(method(), trees, min_shared=10**6), shared, rtol=1e-6, atol=rounded)


@every_pairwise
def test_property_a_row_of_weight_two_counts_like_the_row_twice(method):
    heavy = gradient(method(), [pair(0, weight=2.0), pair(1), pair(2, weight=0.0)])
    assert_close(heavy, gradient(method(), [pair(0), pair(0), pair(1)]), **EXACT)


@every_pairwise
def test_property_a_rank_without_rows_has_no_loss(method):
    roles = models()
    with torch.no_grad():
        forest = method().prepare([], roles, here())
    loss = method().loss(roles, forest)
    assert float(loss.terms["loss"].total.detach()) == 0.0 == forest.counts["loss"]


@every_pairwise
def test_property_the_loss_of_an_untouched_policy_is_what_the_loop_checks(method):
    policy = small(0).double()
    same = Models(Role(Engine(policy)), reference=Role(Engine(small(0).double())))
    forest = prepared(method(), same, TREES)
    loss = float(method().loss(same, forest).terms["loss"].total.detach()) / forest.counts["loss"]
    assert loss > 0 and (method.loss_at_start is None or loss == pytest.approx(method.loss_at_start, abs=1e-9))


@every_pairwise
def test_property_the_chosen_completion_is_pulled_up_and_the_rejected_pushed_down(method):
    """Along a step against the gradient, from a policy that is its own reference: what a flipped sign gets wrong."""
    policy = small(0).double()
    same = Models(Role(Engine(policy)), reference=Role(Engine(small(0).double())))
    forest = prepared(method(), same, [pair(3)])
    before = same.policy.completion_logps(forest).detach()
    method().loss(same, forest).terms["loss"].total.backward()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter -= 1e-4 * parameter.grad
    change = (same.policy.completion_logps(forest).detach() - before) / forest.lengths
    chosen, rejected = sides(forest, change)
    assert chosen > rejected


def test_formula_sides_and_rewards():
    forest = Forest.plant([pair(0), pair(1)])
    chosen, rejected = sides(forest, torch.tensor([1.0, 2.0, 3.0, 4.0]))
    assert (chosen.tolist(), rejected.tolist()) == ([1.0, 3.0], [2.0, 4.0])
    found = {name: values.tolist() for name, values in rewards(chosen, torch.tensor([0.5, 3.0])).items()}
    assert found == {
        "accuracy": [1.0, 0.0], "margin": [0.5, 0.0], "chosen_reward": [1.0, 3.0], "rejected_reward": [0.5, 3.0],
    }  # fmt: skip


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_what_must_be_positive_is_refused_otherwise(value):
    objective = DPO()
    object.__setattr__(objective, "beta", value)
    with pytest.raises(RecipeError, match=f"objectives/dpo: beta must be above 0, not {value!r}."):
        require_positive(objective, "beta")


@pytest.mark.parametrize(("value", "fine"), [(0.0, True), (2.0, True), (-1e-9, False), (math.nan, False)])
def test_what_must_not_be_negative(value, fine):
    objective = DPO()
    object.__setattr__(objective, "beta", value)
    if fine:
        require_not_negative(objective, "beta")
    else:
        with pytest.raises(RecipeError, match="objectives/dpo: beta must be 0 or more"):
            require_not_negative(objective, "beta")


@pytest.mark.parametrize(
    ("value", "most", "fine"), [(0.0, 1.0, True), (1.0, 1.0, True), (0.5, 0.5, False), (-0.1, 1.0, False)]
)
def test_shares_end_at_one_or_before_a_bound(value, most, fine):
    objective = DPO()
    object.__setattr__(objective, "label_smoothing", value)
    if fine:
        require_share(objective, "label_smoothing", most)
    else:
        with pytest.raises(RecipeError, match=r"label_smoothing must be from 0 to (1|\(not including\) 0.5), not"):
            require_share(objective, "label_smoothing", most)
