"""TR-DPO: DPO's loss, a reference that moves when it should and as far as it should, and no stale cache."""

import math

import pytest
import torch
from torch.testing import assert_close

from espalier.contracts import Copy
from espalier.errors import RecipeError
from espalier.models.roles import declared
from espalier.objectives.dpo import DPO
from espalier.objectives.tr_dpo import TRDPO, tr_dpo_loss
from espalier.train.loop import Here, fit
from espalier.train.reference import ReferenceCache, weights_key
from tests.objectives.pairs import CHOSEN, EXACT, REJECTED, check_a_batch, learned, nls, numbers
from tests.train.toys import job_of, lora, models_of, pair, prepared, small

TREES = [pair(seed) for seed in range(12)]


def test_formula_tr_dpo():
    got = tr_dpo_loss(numbers(CHOSEN), numbers(REJECTED), beta=0.4)
    assert_close(got, numbers([nls(0.4 * (w - r)) for w, r in zip(CHOSEN, REJECTED, strict=True)]), **EXACT)


def test_formula_of_a_batch():
    check_a_batch(TRDPO(beta=0.3), lambda w, r: nls(0.3 * (w.ratio - r.ratio)))


def test_property_the_options_are_the_role():
    assert declared(TRDPO(every=7, mix=0.25)) == {"reference": Copy(every=7, mix=0.25)}


def moved(model):
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1)


@pytest.mark.parametrize("wrap", [lambda model: model, lora])
def test_formula_a_move_is_a_weighted_mean_of_the_weights(wrap):
    model = wrap(small().double())
    models = models_of(TRDPO(every=2, mix=0.6), model)
    before = [twin.clone() for _, twin in models.reference.mirror()]
    moved(model)
    models.after_step(0)
    assert all(torch.equal(twin, old) for (_, twin), old in zip(models.reference.mirror(), before, strict=True))
    models.after_step(1)
    for (policy, twin), old in zip(models.reference.mirror(), before, strict=True):
        assert_close(twin.data, 0.6 * policy.data + 0.4 * old, **EXACT)
        assert not torch.equal(policy, twin)


def test_property_after_a_hard_update_the_loss_is_log_two_again():
    reports = learned(TRDPO(beta=0.5, every=5, mix=1.0), steps=11)
    losses = [report["loss"] for report in reports]
    for fresh in (0, 5, 10):
        assert losses[fresh] == pytest.approx(math.log(2), abs=1e-5)
    assert losses[4] < 0.6 and losses[9] < 0.6


def test_property_a_cache_of_the_first_reference_is_not_read(tmp_path):
    model = small().double()
    models = models_of(TRDPO(every=1, mix=1.0), model)
    cache = ReferenceCache(tmp_path / "reference.sqlite", weights_key(model))
    step = Here(0, torch.Generator(), cache)
    with torch.no_grad():
        first = DPO().prepare(TREES, models, step)["reference_logps"]
        moved(model)
        models.after_step(0)
        stale = DPO().prepare(TREES, models, step)["reference_logps"]
        live = TRDPO().prepare(TREES, models, step)["reference_logps"]
    cache.close()
    assert torch.equal(first, stale)
    assert_close(live, models.policy.completion_logps(prepared(TRDPO(), models, TREES)).detach(), rtol=1e-10, atol=0)
    assert float((live - first).abs().max()) > 0.1


def test_property_a_reference_that_has_not_moved_yet_is_dpo_s(tmp_path):
    found = []
    for name, objective in (("one", TRDPO(beta=0.1, every=100)), ("other", DPO(beta=0.1))):
        events = []
        (tmp_path / name).mkdir()
        fit(job_of(tmp_path / name, objective, small(), TREES), listen=events.append)
        found.append([event.values["loss"] for event in events if event.kind == "step"])
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    assert found[0][0] == pytest.approx(math.log(2), abs=1e-4)


def test_property_nothing_of_the_reference_has_a_gradient():
    model = small()
    models = models_of(TRDPO(), model)
    forest = prepared(TRDPO(), models, TREES)
    TRDPO().loss(models, forest).terms["loss"].total.backward()
    assert all(p.grad is None for p in models.reference.inner.parameters())
    assert any(p.grad is not None for p in model.parameters())


def test_learns_to_prefer_the_chosen_token():
    reports = learned(TRDPO(beta=0.1, every=5, mix=0.6))
    assert reports[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert reports[-1]["accuracy"] == 1.0 and reports[-1]["loss"] < 0.65


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"every": 0}, {"mix": 0.0}, {"mix": 1.5}])
def test_options_outside_of_the_formula_are_refused(options):
    with pytest.raises(RecipeError, match=r"objectives/tr_dpo: (beta|every|mix) must be (above 0|at most 1)"):
        TRDPO(**options)
