"""LOMO: plain gradient descent in its numbers, one gradient at a time in its memory."""

import math

import pytest
import torch
from torch.testing import assert_close

from espalier.adapters.adalora import AdaLoRA
from espalier.contracts import Moment
from espalier.errors import RecipeError, RunError
from espalier.models.checkpointing import checkpoint
from espalier.objectives.sft import SFT
from espalier.optimizers.lomo import LOMO, lomo_step
from espalier.train import distributed
from espalier.train.loop import fit
from espalier.train.step import optimize
from tests.optimizers.resumed import TREES, job, losses, same_after_a_checkpoint
from tests.train.toys import models_of, prepared, single, small


class Sgd:
    def build(self, groups):
        return torch.optim.SGD(groups)


def stepped(method, *, max_norm=0.0, pieces=None, steps=3, rate=0.05, again=False):
    """The weights after some steps on the same batch, and what the last step reported."""
    objective, model = SFT(), small().train()
    if again:
        checkpoint(model, 1)
    models = models_of(objective, model)
    optimizer = method.build([{"params": list(model.named_parameters()), "lr": rate}])
    forest = prepared(objective, models, TREES)
    for _ in range(steps):
        report = optimize(objective, models, forest, optimizer, max_tokens=pieces, max_norm=max_norm)
    return model.state_dict(), report


def test_formula_a_step_is_against_the_gradient():
    weight, gradient = torch.tensor([2.0, -1.0], dtype=torch.float64), torch.tensor([0.5, 4.0], dtype=torch.float64)
    found = lomo_step(weight, gradient, learning_rate=0.1)
    assert [math.isclose(a, b, rel_tol=1e-12) for a, b in zip(found.tolist(), [1.95, -1.4], strict=True)] == [True] * 2


@pytest.mark.parametrize("max_norm", [0.0, 0.5])
def test_equals_gradient_descent_with_and_without_a_limit_of_the_norm(max_norm):
    ours, told = stepped(LOMO(), max_norm=max_norm, pieces=20)  # asked for pieces, and takes one
    theirs, expected = stepped(Sgd(), max_norm=max_norm)
    assert_close(ours, theirs, rtol=0, atol=1e-6)
    assert told == pytest.approx(expected, rel=1e-4)
    assert max_norm == 0.0 or told["grad_norm"] > max_norm


def test_equals_gradient_descent_where_layers_are_computed_again_in_both_passes():
    ours, _ = stepped(LOMO(), max_norm=0.5, again=True)
    assert_close(ours, stepped(Sgd(), max_norm=0.5)[0], rtol=0, atol=1e-6)


def test_a_limit_of_each_value_needs_one_pass():
    class Clipped(torch.optim.SGD):
        def step(self, closure=None):
            torch.nn.utils.clip_grad_value_([p for group in self.param_groups for p in group["params"]], 1e-3)
            super().step(closure)

    class Method:
        def build(self, groups):
            return Clipped(groups)

    passes = []
    original = torch.Tensor.backward
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "backward", lambda self, **how: (passes.append(1), original(self, **how)))
        ours, _ = stepped(LOMO(clip_value=1e-3), max_norm=1.0)
        assert len(passes) == 3
        stepped(LOMO(), max_norm=1.0)
        assert len(passes) == 3 + 6
    assert_close(ours, stepped(Method())[0], rtol=0, atol=1e-6)


def test_the_gradients_alive_are_never_more_than_the_largest_weight():
    objective, model = SFT(), small()
    models = models_of(objective, model)
    weights, most = list(model.parameters()), []
    for weight in weights:  # before the optimizer's own, which lets the gradient go
        weight.register_post_accumulate_grad_hook(
            lambda _: most.append(sum(p.grad.numel() for p in weights if p.grad is not None))
        )
    optimizer = LOMO().build([{"params": weights, "lr": 0.1}])
    optimize(objective, models, prepared(objective, models, TREES), optimizer, max_norm=0.0)
    assert len(most) == len(weights)
    assert max(most) == max(p.numel() for p in weights) < sum(p.numel() for p in weights)
    assert all(p.grad is None for p in weights)


def test_learns(tmp_path):
    found = losses(tmp_path, LOMO(), rate=0.1)
    assert found[-1] < 0.5 * found[0]


def test_a_resumed_run_ends_at_the_same_bits(tmp_path):
    assert same_after_a_checkpoint(tmp_path, LOMO(), rate=0.05)


def test_a_loss_that_is_no_number_changes_no_weight(tmp_path):
    made = job(tmp_path, LOMO(), rate=0.1)
    with torch.no_grad():
        made.models.policy.inner.model.get_output_embeddings().weight[0] = torch.nan
    before = {name: value.clone() for name, value in made.models.policy.inner.state_dict().items()}
    with pytest.raises(RunError, match="no weight was changed"):
        fit(made)
    assert_close(made.models.policy.inner.state_dict(), before, rtol=0, atol=0, equal_nan=True)


def test_a_gradient_that_is_no_number_stops_the_run_and_says_that_weights_have_moved():
    weight = torch.nn.Parameter(torch.tensor([0.0]))
    optimizer = LOMO(clip_value=1.0).build([{"params": [weight], "lr": 0.1}])
    with pytest.raises(RunError, match="while weights were already changing"):
        optimizer.backward(weight.sqrt().sum() * 0, 1.0)


def test_a_backward_pass_of_somebody_else_keeps_its_gradients():
    weight = torch.nn.Parameter(torch.ones(2))
    LOMO().build([{"params": [weight], "lr": 0.1}])
    weight.sum().backward()
    assert weight.grad is not None and weight.tolist() == [1.0, 1.0]


def test_what_cannot_be_is_refused(monkeypatch):
    with pytest.raises(RecipeError, match="clip_value must be above 0"):
        LOMO(clip_value=0.0)
    objective, model = SFT(), small()
    models, optimizer = models_of(objective, model), LOMO().build([{"params": list(model.parameters()), "lr": 0.1}])
    forest = prepared(objective, models, [single(0)])
    with pytest.raises(RecipeError, match="looks at gradients"):
        optimize(objective, models, forest, optimizer, adapter=AdaLoRA(), moment=Moment(0, 1, torch.Generator()))
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    with pytest.raises(RecipeError, match="optimizers/lomo steps before the ranks"):
        LOMO().build([{"params": [torch.nn.Parameter(torch.ones(1))], "lr": 0.1}])
