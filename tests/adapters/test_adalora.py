"""AdaLoRA: the budget falls, what matters keeps its rank, and P and Q stay orthogonal."""

import pytest
import torch
from torch.testing import assert_close

from espalier.adapters.adalora import orthogonality
from espalier.contracts import Moment
from espalier.errors import RecipeError
from espalier.objectives.sft import SFT
from espalier.train.step import optimize
from tests.adapters.kinds import adapter_of, attached, logps, moved, opened, rows, saved, steps, trained
from tests.train.toys import models_of, prepared

LAYERS = 14


def active(model):
    return {name: int((p != 0).sum()) for name, p in trained(model).items() if "lora_E" in name}


def test_formula_how_far_from_orthogonal():
    assert_close(orthogonality(torch.eye(3, dtype=torch.float64)), torch.tensor(0.0, dtype=torch.float64))
    double = torch.tensor([[2.0, 0.0], [0.0, 1.0]], dtype=torch.float64)  # M M^T - I = [[3, 0], [0, 0]]
    assert_close(orthogonality(double), torch.tensor(3.0, dtype=torch.float64), rtol=1e-12, atol=0)


def test_formula_p_e_and_q_of_every_layer():
    count = sum(p.numel() for p in trained(attached("adalora")).values())
    sides = 4 * (16 + 16) + 3 * (16 + 24)
    assert count == 2 * 4 * (sides + 7)


def test_equals_the_penalty_that_peft_puts_on_its_own_loss():
    model, ids = moved("adalora"), torch.arange(3, 15)[None]
    whole = model(ids, labels=ids).loss
    plain = model.base_model.model(ids, labels=ids).loss
    assert_close(adapter_of("adalora").penalty(model), whole - plain, rtol=1e-4, atol=1e-5)


def test_the_active_ranks_follow_the_budget():
    adapter, model = adapter_of("adalora"), attached("adalora")  # from 4 to 2 of each of 14 layers
    models, objective, total = models_of(SFT(), model), SFT(), 20
    forest, optimizer = prepared(objective, models, rows(4)), torch.optim.AdamW(list(trained(model).values()), lr=1e-2)
    for number in range(total):
        moment = Moment(number, total, torch.Generator())
        report = optimize(objective, models, forest, optimizer, adapter=adapter, moment=moment)
        budget, _ = model.base_model.rankallocator.budget_schedule(number + 1)
        assert sum(active(model).values()) == budget, number
        assert report["penalty"] > 0
    assert budget == 2 * LAYERS
    assert len(set(active(model).values())) > 1, "layers differ in what they need"


@pytest.mark.parametrize(("total", "ranks"), [(1, 31), (2, 28), (3, 28)])
def test_a_run_of_few_steps_keeps_its_ranks(total, ranks, tmp_path):
    model = attached("adalora")
    steps("adalora", model, total, 1e-2)
    assert sum(active(model).values()) == ranks  # from 56 to 28; of the one step of a run it is the middle of the curve
    assert_close(logps(opened(saved(model, tmp_path / "adapter"))), logps(model), rtol=1e-6, atol=1e-6)


def test_the_penalty_pulls_towards_orthogonal():
    far = {}
    for weight in (0.0, 0.5):
        model = attached("adalora", penalty_weight=weight)
        steps("adalora", model, 30, 2e-2, penalty_weight=weight)
        far[weight] = adapter_of("adalora", penalty_weight=1.0).penalty(model).item()
    assert far[0.5] < far[0.0] / 2


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rank": 4}, "initial_rank must be above rank = 4"),
        ({"warmup_share": 0.6, "final_share": 0.4}, "sum to less than 1"),
        ({"initial_rank": 17}, "rank = 17 is more than the 16 dimensions of model.layers.0"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(options, sentence):
    with pytest.raises(RecipeError, match=sentence):
        attached("adalora", **options)
