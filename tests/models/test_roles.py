"""The policy and the models beside it."""

from typing import ClassVar

import pytest
import torch
from peft import LoraConfig, get_peft_model

from espalier import contracts
from espalier.errors import RecipeError
from espalier.models.heads import with_scalar_head
from espalier.models.roles import Models, Role, assemble
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from espalier.trees.logps import entropy
from tests.models.tiny import tiny
from tests.trees.exact import garden, model

# PEFT asks for a property that transformers has renamed
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")


class Preferring:
    reference: ClassVar[contracts.Frozen] = contracts.Frozen()


class Following:
    anchor: ClassVar[contracts.Ema] = contracts.Ema(rate=0.25)


class Refreshing:
    reference: ClassVar[contracts.Copy] = contracts.Copy(every=2, mix=0.5)


def lora(**given):
    torch.manual_seed(1)
    return get_peft_model(
        tiny("llama"), LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", **given)
    )


def policy_of(whole, **given) -> Role:
    return Role(Engine(whole), **given)


def trained(role: Role) -> dict[str, torch.Tensor]:
    return {name: p for name, p in role.inner.model.named_parameters() if p.requires_grad}


def train(role: Role) -> None:
    """A step that changes everything that is trained."""
    with torch.no_grad():
        for p in trained(role).values():
            p.add_(torch.randn(p.shape), alpha=0.1)


def answer(role: Role) -> torch.Tensor:
    with torch.no_grad():
        return role.token_logps(Forest.plant(garden()))


@pytest.mark.parametrize("layout", ["trees", "rows"])
@pytest.mark.parametrize("max_tokens", [1, 60])
def test_equals_the_whole_forest_when_it_is_cut_without_a_gradient(layout, max_tokens):
    whole, cut = (Role(Engine(model("llama"), layout=layout), max_tokens=tokens) for tokens in (None, max_tokens))
    forest = Forest.plant(garden())
    functionals = {"entropy": entropy, "two": lambda z, y: z[:, :2]}
    for asked in ({"functionals": functionals}, {"states": "last"}, {"states": "before"}):
        with torch.no_grad():
            together, apart = whole.answers(forest, **asked), cut.answers(forest, **asked)
        assert together.keys() == apart.keys()
        for name, values in together.items():
            torch.testing.assert_close(apart[name], values, atol=1e-5, rtol=0)
    with torch.no_grad():
        assert cut.token_logps(Forest.plant([])).shape == (0,)


def test_completion_logps_are_sums_over_counted_tokens():
    role, forest = policy_of(model("llama")), Forest.plant(garden())
    tokens = role.token_logps(forest)
    sums = [part.sum() for part in tokens.split(forest.lengths.tolist())]
    torch.testing.assert_close(role.completion_logps(forest), torch.stack(sums))


def test_an_undeclared_role_is_named():
    with pytest.raises(AttributeError, match="no role named 'critic'; declared: policy"):
        _ = Models(policy_of(model("llama"))).critic


@pytest.mark.parametrize("make", [lambda: tiny("llama"), lora, lambda: lora(modules_to_save=["lm_head"])])
def test_a_frozen_role_stays_what_the_policy_was(make):
    policy = policy_of(make())
    train(policy)  # it does not start at zero: the adapter was there before
    names, before = trained(policy).keys(), answer(policy)
    models = assemble(Preferring(), policy, fresh_adapter=False)
    assert torch.equal(answer(models.reference), before)
    train(policy)
    models.after_step(0)
    assert torch.equal(answer(models.reference), before)
    assert (answer(policy) - before).abs().max() > 0.01
    assert trained(policy).keys() == names, "switching adapters leaves what is trained as it was"


def test_a_fresh_adapter_is_switched_off_for_the_reference():
    policy = policy_of(lora())
    models = assemble(Preferring(), policy, fresh_adapter=True, base="sprout")
    assert models.reference.describe == "sprout, with the adapter of this run switched off"
    assert models.reference.engine is policy.engine
    train(policy)
    torch.testing.assert_close(answer(models.reference), answer(policy_of(tiny("llama"))))


@pytest.mark.parametrize("make", [lambda: tiny("llama"), lora])
def test_a_following_role_moves_a_share_of_the_way(make):
    policy = policy_of(make())
    models = assemble(Following(), policy, fresh_adapter=True)
    pairs = models.anchor.mirror()
    assert len(pairs) >= len(trained(policy)) > 0
    start = [twin.clone() for _, twin in pairs]
    train(policy)
    models.after_step(0)
    for (source, twin), before in zip(pairs, start, strict=True):
        torch.testing.assert_close(twin, 0.75 * before + 0.25 * source)


def test_a_copy_is_refreshed_every_so_many_steps():
    policy = policy_of(lora())
    models = assemble(Refreshing(), policy, fresh_adapter=True)
    before = answer(models.reference)
    train(policy)
    models.after_step(0)
    assert torch.equal(answer(models.reference), before)
    models.after_step(1)
    assert (answer(models.reference) - before).abs().max() > 1e-3


def test_a_role_named_like_an_adapter_is_refused():
    adapted = lora()
    adapted.add_adapter("reference", LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))
    with pytest.raises(RecipeError, match="already has an adapter named 'reference'"):
        assemble(Preferring(), policy_of(adapted), fresh_adapter=False)


def test_a_live_reference_stays_beside_its_cache():
    class Asking:
        reference: ClassVar[contracts.Frozen] = contracts.Frozen(live=True)

    models = assemble(Asking(), policy_of(tiny("llama")), fresh_adapter=False, cached=True)
    before = answer(models.reference)
    models.forget_transient()
    train(models.policy)
    torch.testing.assert_close(answer(models.reference), before)
    assert models.policy.longest == 128


def test_scores_in_pieces_are_the_scores_at_once():
    scoring = policy_of(with_scalar_head(tiny("llama"), seed=0))
    forest = Forest.plant(garden())
    whole = scoring.scores(forest)
    assert whole.shape == (forest.size("completion"),) and whole.requires_grad
    scoring.max_tokens = 30
    with torch.no_grad():
        torch.testing.assert_close(scoring.scores(forest), whole.detach(), atol=1e-5, rtol=1e-5)
        assert scoring.scores(Forest.plant([])).shape == (0,)
