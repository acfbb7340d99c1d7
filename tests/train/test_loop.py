"""The loop: pieces, counts, roles, passes, and what stops it."""

import math
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch.testing import assert_close

from espalier.contracts import Copy, Ema, Loss, Term
from espalier.errors import RunError
from espalier.objectives.dpo import DPO
from espalier.objectives.sft import SFT
from espalier.train import loop
from espalier.train.loop import Job, evaluate, fit
from espalier.train.step import optimize
from espalier.trees.forest import Forest
from tests.train.toys import (
    Kept,
    Rollouts,
    TwoTerms,
    job_of,
    lora,
    models_of,
    pair,
    prepared,
    single,
    small,
)

EXACT = {"rtol": 1e-12, "atol": 1e-12}
CASES = [(SFT(), single), (DPO(), pair), (TwoTerms(), single), (DPO(label_smoothing=0.2), pair)]


def moved(model):
    """A model that has left its reference."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(7)) * 0.02)


def batch_gradient(objective, trees, max_tokens=None, weights=None):
    model = small().double()
    models = models_of(objective, model)
    moved(model)
    keeper = Kept(model)
    report = optimize(
        objective, models, prepared(objective, models, trees), keeper, max_tokens=max_tokens, max_norm=0.0
    )
    return keeper.gradient, report


@pytest.mark.parametrize(("objective", "make"), CASES)
@pytest.mark.parametrize("max_tokens", [1, 20, 45])
def test_property_pieces_of_any_size_give_the_same_gradient(objective, make, max_tokens):
    trees = [make(seed) for seed in range(8)]
    whole, report = batch_gradient(objective, trees)
    cut, again = batch_gradient(objective, trees, max_tokens)
    assert float(whole.abs().max()) > 1e-3
    assert_close(cut, whole, **EXACT)
    assert again == pytest.approx(report, rel=1e-12)


@pytest.mark.parametrize(("objective", "make"), CASES)
def test_property_eight_by_one_is_two_by_four_is_one_by_eight(objective, make, monkeypatch):
    trees = [make(seed) for seed in range(8)]
    whole, _ = batch_gradient(objective, trees)
    for size in (1, 4):
        groups = [list(range(at, at + size)) for at in range(0, 8, size)]
        monkeypatch.setattr(Forest, "pieces", lambda *_, groups=groups, **__: groups)
        cut, _ = batch_gradient(objective, trees, 1)
        assert_close(cut, whole, **EXACT)


@pytest.mark.parametrize(("objective", "make"), CASES[:2])
def test_property_a_row_of_weight_two_counts_like_the_row_twice(objective, make):
    heavy, _ = batch_gradient(objective, [make(0, weight=2.0), make(1), make(2, weight=0.0)])
    twice, _ = batch_gradient(objective, [make(0), make(0), make(1)])
    assert_close(heavy, twice, **EXACT)


def test_formula_each_term_is_divided_by_its_own_count():
    gradient, report = batch_gradient(TwoTerms(), [single(0), single(1), single(2)])
    assert report["loss"] == pytest.approx(report["tokens"] + report["examples"])
    model = small().double()
    moved(model)
    models = models_of(TwoTerms(), model)
    forest = prepared(TwoTerms(), models, [single(0), single(1), single(2)])
    logps = models.policy.token_logps(forest)
    (-logps.mean() + 0.5 * forest.sum_tokens(logps).square().sum() / 3).backward()
    expected = torch.cat([p.grad.reshape(-1) for p in model.parameters()])
    assert_close(gradient, expected, **EXACT)


@pytest.mark.parametrize("objective", [SFT(), DPO(), TwoTerms()])
def test_a_rank_without_examples_takes_part_and_changes_nothing(objective):
    gradient, report = batch_gradient(objective, [])
    assert len(gradient) > 1000 and not gradient.any()
    assert report["loss"] == 0


def test_a_batch_of_weight_zero_changes_nothing():
    gradient, report = batch_gradient(SFT(), [single(0, weight=0.0)])
    assert not gradient.any() and report["loss"] == 0


@dataclass(frozen=True)
class Broken(SFT):
    """A loss that is not a number from its second piece on."""

    def loss(self, models, piece):
        loss = super().loss(models, piece)
        bad = math.nan if piece.trees and len(piece.trees[0].branches[0].ids) > 9 else 1.0
        return Loss({name: Term(term.total * bad) for name, term in loss.terms.items()})


def test_a_loss_that_is_no_number_stops_before_any_weight_has_changed():
    model = small()
    before = [p.clone() for p in model.parameters()]
    models = models_of(Broken(), model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    with pytest.raises(RunError, match=r"the loss became nan .* no weight was changed.*learning rate"):
        optimize(
            Broken(), models, prepared(Broken(), models, [single(seed) for seed in range(6)]), optimizer, max_tokens=9
        )
    assert all(torch.equal(p, was) for p, was in zip(model.parameters(), before, strict=True))
    assert not optimizer.state and all(p.grad is None for p in model.parameters())


def test_gradients_are_clipped_to_the_norm_and_the_true_norm_is_reported():
    model = small()
    models = models_of(SFT(), model)
    keeper = Kept(model)
    report = optimize(SFT(), models, prepared(SFT(), models, [single(0)]), keeper, max_norm=0.01)
    assert report["grad_norm"] > 0.1
    assert float(keeper.gradient.norm()) == pytest.approx(0.01, rel=1e-3)  # torch divides by the norm plus 1e-6


@pytest.mark.parametrize(("kind", "rate"), [(torch.bfloat16, 1e-8), (torch.float32, 1e-30)])
def test_a_learning_rate_that_changes_nothing_is_refused(kind, rate, tmp_path):
    job = job_of(tmp_path, SFT(), small().to(kind), [single(seed) for seed in range(8)], learning_rate=rate)
    name = str(kind).removeprefix("torch.")
    with pytest.raises(RunError, match=f"learning rate {rate:g} changes none of the {name} weights. Raise it"):
        fit(job)


def test_a_low_rate_at_the_end_of_a_schedule_is_no_reason_to_stop_a_run_that_goes_on(tmp_path):
    job = job_of(tmp_path, SFT(), small(), [single(seed) for seed in range(8)], learning_rate=1e-3, schedule="linear")
    job.steps = 1_000_000_000
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            loop, "steps_of", lambda job, start: [(number, [single(0)]) for number in range(start, job.steps)]
        )
        assert fit(job, start=job.steps - 4) == job.steps


@pytest.mark.parametrize("start", ["full", "fresh", "continued"])
@pytest.mark.parametrize("cached", [True, False])
def test_formula_the_dpo_loss_of_an_untouched_policy_is_log_two(start, cached, tmp_path):
    model = small()
    if start == "fresh":
        from espalier.adapters.lora import LoRA

        model = LoRA(rank=2).attach(model)
    if start == "continued":
        model = lora(model)
    losses = []
    trees = [pair(seed) for seed in range(12)]
    job = job_of(tmp_path, DPO(), model, trees, cached=cached, fresh=start == "fresh", hold=True)
    if cached:  # what a run computes before its first step
        job.cache.put(trees, [job.models.reference.token_logps(Forest.plant([tree])).detach() for tree in trees])
        job.models.forget_transient()
    fit(job, listen=lambda event: losses.append(event.values["loss"]) if event.kind == "step" else None)
    assert losses[0] == pytest.approx(math.log(2), abs=1e-6)
    assert abs(losses[-1] - math.log(2)) > 1e-5


def test_a_policy_that_disagrees_with_its_reference_at_the_start_is_refused(tmp_path):
    trees = [pair(seed) for seed in range(8)]
    job = job_of(tmp_path, DPO(), small(), trees)
    moved(job.models.policy.inner)
    with pytest.raises(RunError, match=r"untouched policy is .* must be 0\.693147"):
        fit(job)


def test_the_frozen_copy_of_an_adapter_stays_while_the_policy_moves(tmp_path):
    trees = [pair(seed) for seed in range(8)]
    job = job_of(tmp_path, DPO(), lora(small()), trees, learning_rate=1.0)
    forest = Forest.plant(trees)
    with torch.no_grad():
        before = job.models.policy.token_logps(forest)
        assert_close(job.models.reference.token_logps(forest), before, rtol=0, atol=0)
        names = {name for name, p in job.models.policy.inner.named_parameters() if p.requires_grad}
    fit(job)
    with torch.no_grad():
        assert_close(job.models.reference.token_logps(forest), before, rtol=0, atol=0)
        assert float((job.models.policy.token_logps(forest) - before).abs().max()) > 1e-3
    assert names == {name for name, p in job.models.policy.inner.named_parameters() if p.requires_grad}
    assert all("default" in name for name in names)


@dataclass(frozen=True)
class Followed(SFT):
    """SFT with copies that follow the policy."""

    anchor: ClassVar[Ema] = Ema(rate=0.25)
    target: ClassVar[Copy] = Copy(every=2, mix=0.6)


@pytest.mark.parametrize("make", [small, lambda: lora(small())])
def test_formula_roles_follow_the_policy_exactly(make, tmp_path):
    job = job_of(tmp_path, Followed(), make(), [single(seed) for seed in range(8)], steps=5)
    trained = [p for group in job.optimizer.param_groups for p in group["params"]]
    tracks = [[p.detach().double().clone() for p in trained]]
    fit(
        job,
        listen=lambda e: tracks.append([p.detach().double().clone() for p in trained]) if e.kind == "step" else None,
    )
    anchors = [p for _, p in job.models.anchor.mirror()]
    targets = [p for _, p in job.models.target.mirror()]
    assert len(anchors) == len(trained) and not any(p.requires_grad for p in [*anchors, *targets])
    for i, parameter in enumerate(trained):
        steps = [track[i] for track in tracks]
        anchor = target = steps[0]
        for number, step in enumerate(steps[1:]):
            anchor = 0.75 * anchor + 0.25 * step
            target = 0.4 * target + 0.6 * step if (number + 1) % 2 == 0 else target
        at = next(n for n, (source, _) in enumerate(job.models.anchor.mirror()) if source is parameter)
        assert_close(anchors[at].double(), anchor, rtol=1e-5, atol=1e-6)  # the copies are float32
        assert_close(targets[at].double(), target, rtol=1e-5, atol=1e-6)


def test_passes_over_minibatches_count_anew(tmp_path, monkeypatch):
    model = small().double()
    seen = []
    original = loop.optimize

    def spy(objective, models, forest, *args, **options):
        tokens = forest.size("token")
        assert forest.counts["examples"] == forest.examples and forest.counts["tokens"] == tokens
        seen.append(forest.examples)
        return original(objective, models, forest, *args, **options)

    monkeypatch.setattr(loop, "optimize", spy)
    fit(job_of(tmp_path, Rollouts(), model, [single(seed) for seed in range(5)], batch_size=5, steps=1))
    assert seen == [3, 2] * 3


def test_a_minibatch_has_the_gradient_of_its_examples_alone():
    trees = [single(seed) for seed in range(6)]
    model = small().double()
    models = models_of(TwoTerms(), model)
    keeper = Kept(model)
    part = prepared(TwoTerms(), models, trees).batch([1, 4])
    optimize(TwoTerms(), models, part, keeper, max_norm=0.0)
    mini = keeper.gradient
    optimize(TwoTerms(), models, prepared(TwoTerms(), models, [trees[1], trees[4]]), keeper, max_norm=0.0)
    assert_close(mini, keeper.gradient, **EXACT)


def test_evaluation_is_the_mean_over_all_held_back_examples(tmp_path):
    trees = [single(seed) for seed in range(15)]
    job = job_of(tmp_path, TwoTerms(), small().double(), trees, hold=True, batch_size=2)
    job.models.policy.max_tokens = 20
    found = evaluate(job)
    whole = prepared(TwoTerms(), job.models, [trees[n] for n in job.held])
    with torch.no_grad():
        logps = job.models.policy.token_logps(whole)
    assert found["tokens"] == pytest.approx(float(-logps.mean()))
    assert found["length"] == pytest.approx(float(whole.lengths.double().mean()))


def test_dropout_is_on_while_training_and_off_while_measuring(tmp_path):
    job = job_of(tmp_path, SFT(dropout=True), small(attention_dropout=0.5), [single(n) for n in range(10)], hold=True)
    training = []
    policy = job.models.policy
    policy.inner.register_forward_hook(lambda module, *_: training.append(module.training))
    assert evaluate(job) == evaluate(job)
    del training[:]
    fit(job)
    assert training == [True, True, False, True, True, False]
    assert not policy.inner.training


def test_a_run_that_is_told_to_stop_saves_and_says_how_far_it_came(tmp_path):
    saved = []
    job: Job = job_of(tmp_path, SFT(), small(), [single(seed) for seed in range(8)])
    job.save = lambda step, best: saved.append((step, best))
    calls = iter([False, True])
    assert fit(job, stop=lambda: next(calls)) == 2
    assert saved == [(2, True)]
    assert fit(job, start=2) == 4


def test_the_best_is_the_lowest_held_back_loss_so_far(tmp_path):
    job = job_of(
        tmp_path, SFT(), small(), [single(seed) for seed in range(10)], hold=True, eval_every=1, learning_rate=0.5
    )
    saved, losses = [], []
    job.save = lambda step, best: saved.append(best)
    fit(job, listen=lambda event: losses.append(event.values["loss"]) if event.kind == "eval" else None)
    assert saved == [loss < min(losses[:n], default=math.inf) for n, loss in enumerate(losses)]
    assert job.best == min(losses)
