"""Whole runs with adapters: the reference is the policy at step 0, the result is what was trained, resume is exact."""

import pytest
import torch
from safetensors.torch import load_file
from torch.testing import assert_close

from espalier import tuning
from espalier.errors import ModelError, RecipeError
from espalier.lm.local import Local
from espalier.planning import plan_run
from espalier.run import load
from espalier.starting import Start
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree
from tests import running
from tests.adapters.kinds import KINDS
from tests.models_on_disk import pairs, recipe_of, save_model, write_rows
from tests.train.ranks import run as ranked_run
from tests.train.ranks import together
from tests.train.toys import branch

quick = running.quick
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*gradient_checkpointing. is deprecated:FutureWarning"
)  # PEFT asks for it


class Quiet:
    def note(self, *_: object, **__: object) -> None:
        pass


RATE = {"learning_rate": 1e-2, "schedule": "constant"}


def recipe(folder, kind, objective="sft", **given):
    return recipe_of(folder, objective, adapter={"method": f"adapters/{kind}", **KINDS[kind]}, **RATE | given)


def answer(target):
    loaded = load(target, device="cpu", dtype="float32")
    row = loaded.renderer.completion("3 sum of odd", "yes yes")
    with torch.no_grad():
        return loaded.policy.token_logps(Forest.plant([Tree.of([row])]))


@pytest.mark.parametrize("reference", ["cached", "live"])
@pytest.mark.parametrize("kind", ["prompt", "prefix", "bottleneck", "llama_pro"])
def test_dpo_starts_at_ln_2_and_hands_over_what_it_trained(kind, reference, quick):
    seen = []
    run = tuning.train(recipe(quick, kind, "dpo", reference=reference, max_steps=3), listen=seen.append)
    losses = [event.values["loss"] for event in seen if event.kind == "step"]
    assert losses[0] == pytest.approx(0.693147, abs=1e-5) and losses[-1] < losses[0]
    found = answer(run.folder)
    assert not torch.allclose(found, answer(quick / "model"), atol=1e-4)
    assert run.result.name == ("model" if kind == "llama_pro" else "adapter")
    again = tuning.train(recipe_of(quick, "dpo", out="again", from_run=run.folder, max_steps=2, **RATE))
    assert not torch.equal(answer(again.folder), found)


@pytest.mark.parametrize("kind", ["adalora", "dylora"])
def test_a_resumed_run_is_the_run_that_was_not_stopped(kind, quick):
    more = {"max_steps": 8, "epochs": 2.0, "eval_share": 0.0, "save_every": 4}
    whole = tuning.train(recipe(quick, kind, out="whole", **more))
    steps = []

    def stop():
        steps.append(1)
        return len(steps) == 4

    stopped = tuning.train(recipe(quick, kind, out="stopped", **more), stop=stop)
    assert stopped.state == "interrupted"
    resumed = tuning.train(recipe(quick, kind, out="stopped", **more), resume=True)
    files = [load_file(run.result / "adapter_model.safetensors") for run in (whole, resumed)]
    assert files[0].keys() == files[1].keys()
    assert all(torch.equal(value, files[1][name]) for name, value in files[0].items())


def test_an_adapters_learning_rate_is_a_multiple_of_the_presets(quick):
    rates = {}
    for kind in ("lora", "vera"):
        given = recipe_of(quick, adapter={"method": f"adapters/{kind}", **KINDS[kind]})
        rates[kind] = plan_run(given).options.learning_rate
    assert rates["vera"] == pytest.approx(30 * rates["lora"])
    given = recipe_of(quick, adapter="vera", learning_rate=3e-4)
    assert plan_run(given).options.learning_rate == 3e-4


@pytest.mark.parametrize("kind", ["prompt", "bottleneck", "llama_pro"])
def test_a_scalar_head_asks_for_an_adapter_that_merges(kind, quick):
    with pytest.raises(RecipeError, match=f"adapters/{kind} cannot be merged into a model, as a scalar head asks for"):
        tuning.train(recipe(quick, kind, "reward_model", data=write_rows(quick / "pairs.jsonl", pairs())))


def test_an_adapter_for_another_base_is_refused_by_its_name(quick):
    run = tuning.train(recipe(quick, "lora", max_steps=1))
    save_model(quick / "other", seed=1)
    with pytest.raises(ModelError, match=r"this adapter was made for .*/model, not for .*/other"):
        tuning.train(recipe_of(quick, out="second", from_run=run.folder, model=quick / "other"))


def test_a_prompt_writes_what_it_was_trained_to(quick):
    run = tuning.train(recipe(quick, "prompt", max_steps=2))
    loaded = load(run.folder, device="cpu", dtype="float32")
    texts = [
        Local(role, loaded.renderer).sample(["3 sum of odd"], max_tokens=3)[0][0]
        for role in (loaded.policy, loaded.base)
    ]
    assert texts[0].logps != texts[1].logps


@pytest.mark.parametrize(("kind", "strategy"), [("dylora", "ddp"), ("adalora", "ddp")])
def test_equals_a_run_of_one_rank(kind, strategy, quick, monkeypatch):
    """One rank is drawn, and one budget allocated, on all ranks of the machine."""
    given = {"strategy": strategy, "batch_size": 3, "eval_share": 0.0, "max_steps": 4, "learning_rate": 1e-3}
    together(ranked_run, recipe(quick, kind, out="two", **given), str(quick / "cache"), str(quick / "log"))
    monkeypatch.setenv("ESPALIER_CACHE", str(quick / "alone"))
    tuning.train(recipe(quick, kind, out="one", **given))
    two, one = (load_file(quick / name / "adapter" / "adapter_model.safetensors") for name in ("two", "one"))
    assert two.keys() == one.keys()
    for name, value in one.items():
        assert_close(two[name], value, rtol=1e-3, atol=2e-4)  # Adam divides by what rounds unlike


@pytest.mark.parametrize("kind", ["adalora", "dylora", "intrinsic", "llama_pro", "prompt"])
def test_an_adapter_that_looks_at_whole_weights_refuses_shares_of_them(kind, quick):
    with pytest.raises(RecipeError, match=f"adapters/{kind} needs strategy = ddp: it looks at whole weights"):
        tuning.train(recipe(quick, kind, strategy="fsdp"))


def test_gradients_pass_weights_of_four_bits_also_after_an_answer(quick):
    """Scales of the first layer move only by what comes through all layers behind them."""
    pytest.importorskip("bitsandbytes")
    save_model(quick / "model", hidden_size=64, intermediate_size=64, head_dim=16)
    start = Start.of(plan_run(recipe(quick, "ia3", quantize="nf4")), Quiet(), None)
    policy = start.models().policy
    forest = Forest.plant([Tree.of([branch([5, 6, 7, 8], [9, 10])])])
    with torch.no_grad():
        policy.token_logps(forest)
    policy.inner.train()
    policy.token_logps(forest).sum().backward()
    for name, p in policy.inner.named_parameters():
        assert not p.requires_grad or float(p.grad.abs().max()) > 0, name
