"""Kahneman-Tversky optimization: the equation, its reference point z0, the weights, and that it learns."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import tensor
from torch.testing import assert_close

from espalier import tuning
from espalier.errors import RecipeError, RowError
from espalier.objectives.kto import KTO, balanced_weights, kto_loss
from espalier.train.step import optimize
from espalier.train.unpaired import mismatched
from espalier.trees.tree import Field, Tree
from tests import running
from tests.models_on_disk import answers, recipe_of, write_rows
from tests.objectives.test_dpo import logp
from tests.train.rated import both, moved, rated
from tests.train.toys import Kept, branch, here, models_of, small

EXACT = {"rtol": 1e-12, "atol": 0.0}
quick = running.quick


def numbers(values):
    return tensor(values, dtype=torch.float64)


def plain(log_ratio, desirable, z0, **given):
    options = {"beta": 0.1, "desirable_weight": 1.0, "undesirable_weight": 1.0} | given
    return kto_loss(numbers(log_ratio), tensor(desirable), numbers(z0), **options)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_formula_kto():
    # liked: 1.5 - 1.5 sigmoid(0.1 (r - z0)); disliked: 2 - 2 sigmoid(0.1 (z0 - r))
    got = plain([3.0, -4.0], [True, False], 0.5, desirable_weight=1.5, undesirable_weight=2.0)
    expected = [1.5 - 1.5 * sigmoid(0.1 * (3.0 - 0.5)), 2.0 - 2.0 * sigmoid(0.1 * (0.5 + 4.0))]
    assert_close(got, numbers(expected), **EXACT)


def test_formula_the_gradient_fades_on_both_sides_of_z0():
    ratio = numbers([-6.0, 1.0, 8.0]).requires_grad_()
    options = {"beta": 0.5, "desirable_weight": 1.0, "undesirable_weight": 1.0}
    kto_loss(ratio, tensor([True] * 3), numbers(1.0), **options).sum().backward()
    expected = [-0.5 * sigmoid(0.5 * (r - 1)) * sigmoid(-0.5 * (r - 1)) for r in (-6.0, 1.0, 8.0)]
    assert_close(ratio.grad, numbers(expected), **EXACT)
    assert float(ratio.grad[1]) == -0.125


def test_property_liking_is_disliking_mirrored_at_z0():
    for r in (-3.0, 0.0, 7.0):
        assert_close(plain([r], [True], 1.0), plain([2.0 - r], [False], 1.0), **EXACT)


def test_property_a_far_answer_keeps_its_digits():
    assert float(plain([2000.0], [True], 0.0)) == pytest.approx(math.exp(-200), rel=1e-12)  # 1 - sigmoid would be 0


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_property_weights_lie_in_the_papers_interval_and_one_is_one(liked, disliked):
    first, second = balanced_weights(liked, disliked)
    assert 1 - 1e-9 <= first * liked / (second * disliked) <= 4 / 3 + 1e-9
    assert min(first, second) == 1.0


def test_formula_weights():
    assert balanced_weights(10, 100) == (10.0, 1.0)  # 10 * 10 / 100 = 1
    assert balanced_weights(100, 10) == (1.0, 7.5)  # 100 / (7.5 * 10) = 4/3
    assert balanced_weights(8, 7) == (1.0, 1.0)


def drifted(trees, *, seed=3):
    """Models whose policy has moved from its reference, and the batch they prepare."""
    policy = small().double()
    models = models_of(KTO(), policy)
    moved(policy, seed)
    return models, KTO().prepare(trees, models, here())


def test_formula_z0_and_the_loss_of_a_batch_from_the_logits_of_the_models_themselves():
    trees = [rated(0), rated(1), rated(2, weight=3.0), both(9)]
    models, forest = drifted(trees)
    policy, reference = models.policy.inner.model, models.reference.inner.model
    others = [tree.branches[0] for tree in mismatched(trees, None)]
    z0 = max(0.0, sum(float(logp(policy, path) - logp(reference, path)) for path in others) / 5)
    assert z0 > 0
    total = 0.0
    rows = zip(forest.paths, [False, True, True, True, False], [1.0, 1.0, 3.0, 1.0, 1.0], strict=True)
    for path, liked, weight in rows:
        margin = 0.1 * (float(logp(policy, path) - logp(reference, path)) - z0)
        total += weight * (2.0 * sigmoid(-margin) if liked else 0.5 * sigmoid(margin))
    loss = KTO(desirable_weight=2.0, undesirable_weight=0.5).loss(models, forest)
    assert float(loss.terms["loss"].total.detach()) == pytest.approx(total, rel=1e-9)
    assert forest.counts["loss"] == 7.0
    assert float(loss.metrics["kl"][0]) == pytest.approx(z0, rel=1e-9)


def test_property_untouched_z0_is_exactly_zero_and_the_loss_half_the_weights():
    models = models_of(KTO(), small())
    forest = KTO().prepare([rated(n) for n in range(6)], models, here())
    loss = KTO(desirable_weight=1.0, undesirable_weight=3.0).loss(models, forest)
    assert forest["z0"].tolist() == [0.0] * 6
    assert float(loss.terms["loss"].total.detach()) == pytest.approx((4 * 1 + 2 * 3) / 2, rel=1e-6)


def test_property_z0_is_not_negative_and_no_gradient_goes_through_it():
    seen = {}
    for seed in range(8):
        models, forest = drifted([rated(n) for n in range(4)], seed=seed)
        assert not forest["z0"].requires_grad
        z0 = float(forest["z0"][0])
        seen[z0 > 0] = models, forest, z0
        assert z0 >= 0
    assert seen[False][2] == 0.0
    models, forest, z0 = seen[True]
    found = gradient_of(models, forest)
    forest.put("z0", torch.full((4,), z0, dtype=torch.float64), level="example")  # nothing but a number
    assert_close(gradient_of(models, forest), found, rtol=0, atol=0)


def gradient_of(models, forest, **cut):
    keeper = Kept(models.policy.inner)
    optimize(KTO(), models, forest, keeper, max_norm=0.0, **cut)
    return keeper.gradient


def test_property_pieces_and_order_do_not_matter():
    trees = [rated(n, weight=1 + n / 8) for n in range(7)] + [both(20)]
    models, forest = drifted(trees)
    whole = gradient_of(models, forest)
    counts = set()
    for budget in (1, 45, 60):  # each example alone, and several at once
        counts.add(len(forest.pieces(budget)))
        assert_close(gradient_of(models, forest, max_tokens=budget), whole, rtol=1e-9, atol=1e-13)
    assert 8 in counts and len(counts) > 1
    turned = KTO().prepare(trees[::-1], models, here())
    assert float(turned["z0"][0]) == pytest.approx(float(forest["z0"][0]), rel=1e-12)
    assert_close(gradient_of(models, turned), whole, rtol=1e-9, atol=1e-13)


def test_the_means_of_either_label_are_reported():
    models, forest = drifted([rated(0, label=True), rated(1, label=True), both(5)])
    ratio = models.policy.completion_logps(forest) - forest["reference_logps"]
    report = optimize(KTO(), models, forest, Kept(models.policy.inner), max_tokens=1)
    liked, disliked = (0.1 * ratio[forest["label"] == label].mean().item() for label in (True, False))
    right = ((ratio > forest["z0"][0]) == forest["label"]).double().mean().item()
    found = [report[name] for name in ("liked_reward", "disliked_reward", "accuracy")]
    assert found == pytest.approx([liked, disliked, right], rel=1e-6)


def test_learns_what_is_liked_from_answers_that_were_never_compared():
    trees = []
    for n in range(8):
        label = n % 4 == 0
        path = branch([1, 5 + n], [30 if label else 31])
        trees.append(Tree.of([path], label=Field([label], "completion"), weight=1.0))
    objective, _ = KTO().settle(trees, 8)
    model = small()
    models = models_of(objective, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(20):
        report = optimize(objective, models, objective.prepare(trees, models, here()), optimizer)
    assert report["accuracy"] == 1.0
    assert report["liked_reward"] > 0.05 and report["disliked_reward"] < -0.2  # z0 is 0 or more


def test_the_weights_follow_from_the_counts_unless_given():
    trees = [rated(0, label=True), both(1), both(2), both(3)]
    found, told = KTO(beta=0.2).settle(iter(trees), 2)
    assert found == KTO(beta=0.2, desirable_weight=1.0, undesirable_weight=1.0)
    assert told == "4 liked and 3 disliked answers, weights 1 and 1; under 100 of one kind, expect little"
    given_both = KTO(desirable_weight=2.0, undesirable_weight=5.0)
    assert given_both.settle(trees, 2)[0] == given_both


def test_what_cannot_be_learned_from_is_refused():
    with pytest.raises(RecipeError, match="objectives/kto: batch_size must be at least 2, not 1"):
        KTO().settle([both(0)], 1)
    for label in (True, False):
        with pytest.raises(RowError, match=f"all 2 answers have label {str(label).lower()}"):
            KTO().settle([rated(n, label=label) for n in range(2)], 4)


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"desirable_weight": 1.0, "undesirable_weight": 0.0}])
def test_options_outside_of_the_formula_are_refused(options):
    with pytest.raises(RecipeError, match="beta and the weights must be above 0"):
        KTO(**options)
    with pytest.raises(RecipeError, match="give both weights or neither"):
        KTO(undesirable_weight=2.0)


def test_a_run_records_its_weights_and_goes_on_with_them(quick):
    rows = [{**row, "label": n % 4 == 0} for n, row in enumerate(answers())]
    data = write_rows(quick / "thumbs.jsonl", rows)
    recipe = recipe_of(quick, "kto", data=data, eval_share=0, max_steps=3, learning_rate=1e-3)
    run = tuning.train(recipe, stop=lambda: True)
    assert run.state == "interrupted" and run.recipe.objective["desirable_weight"] == 3.0
    assert any(
        "6 liked and 18 disliked answers, weights 3 and 1" in line for line in run.read("audit.json")["detected"]
    )
    tuning.train(recipe, resume=True)
    assert run.state == "finished"
    assert [event["step"] for event in run.metrics() if event["kind"] == "step"] == [1, 2, 3]
