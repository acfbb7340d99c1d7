"""The estimate of a recipe: what fits, how long, and whether activations must be computed again."""

import json

import pytest

from espalier import estimating, starting, tuning
from espalier.errors import RecipeError
from espalier.estimating import GB, Outlook, available, estimates, layers_again, measure, parse_memory, resident, ways
from espalier.opening import count_parameters
from espalier.planning import plan_run
from tests import running
from tests.models_on_disk import recipe_of

quick = running.quick
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing. is deprecated:FutureWarning")  # PEFT asks


@pytest.mark.parametrize(
    ("text", "size"),
    [("24GB", 24 * GB), ("24", 24 * GB), ("1.5 gib", 1.5 * GB), ("800MB", 800 * 2**20), ("1T", 1024 * GB)],
)
def test_memory_is_read(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize("text", ["", "much", "24 bananas", "-3GB", "0"])
def test_what_is_no_memory_is_refused(text):
    with pytest.raises(RecipeError, match="not an amount of memory"):
        parse_memory(text)


def test_the_machine_is_measured():
    found = measure("cpu")
    assert set(found.rates) == {"float32", "float32 medium", "bfloat16"}
    assert min(*found.rates.values(), found.bandwidth) > 1e7
    assert 0.05 * GB < resident() < available("cpu") + 64 * GB


def test_every_way_of_a_recipe_is_estimated(quick, monkeypatch):
    monkeypatch.setattr(estimating, "measure", lambda device: estimating.Machine({"float32": 1e9}, 1e9))
    outlook = Outlook.of(recipe_of(quick, max_steps=10, batch_size=4, adapter={"method": "rslora", "rank": 2}))
    found = {one.way.name: one for one in estimates(outlook)}
    assert [one.way for one in found.values()] == ways("rslora")
    full, lora = found["all weights"], found["rslora"]
    assert full.trained == full.parameters < lora.parameters
    assert full.memory > found["all weights, LOMO"].memory > outlook.own
    assert full.seconds == pytest.approx(outlook.tokens / full.tokens_per_second)
    mean = sum(outlook.plan.store.tokens(int(n)) for n in outlook.plan.numbers) / len(outlook.plan.numbers)
    assert outlook.tokens == pytest.approx(mean * 4 * outlook.plan.steps) and outlook.plan.steps <= 10


def test_a_machine_that_is_not_here_has_no_speed(quick, monkeypatch):
    monkeypatch.setattr(estimating.torch.cuda, "is_available", lambda: False)
    outlook = Outlook.of(recipe_of(quick), device="cuda")
    found = outlook.estimate(ways("lora")[4])
    assert found.tokens_per_second is None and found.seconds is None and found.memory > estimating.CONTEXT
    assert outlook.budget == 16384


def test_activations_are_computed_again_where_the_estimate_says_so(quick, monkeypatch):
    recipe = recipe_of(quick, max_steps=2, save_every=1, tokens_per_piece=4000)
    plan, count = plan_run(recipe), count_parameters(str(quick / "model"))
    monkeypatch.setattr(estimating, "available", lambda device: 1000 * GB)
    assert layers_again(plan, "cpu", count) == (0, "")
    outlook = Outlook(plan, estimating.load_config(str(quick / "model")), "cpu", 4000, estimating.WORKING, None, 0.0)
    kept, again = (outlook.estimate(way).memory for way in ways("lora")[:2])
    assert again < kept
    monkeypatch.setattr(estimating, "available", lambda device: (kept + again) / 2)
    monkeypatch.setattr(estimating, "AMPLE", 0.0)  # so small a model would not be looked at
    every, why = layers_again(plan, "cpu", count)
    assert every in (1, 2) and "are computed again" in why
    monkeypatch.setattr(estimating, "available", lambda device: 0.0)
    assert layers_again(plan, "cpu", count)[0] == 1

    monkeypatch.setattr(starting, "layers_again", lambda *_: (2, "because"))
    told = []
    run = tuning.train(recipe, listen=lambda event: told.append(event.values.get("text")), stop=lambda: True)
    assert "because" in told and run.info()["decisions"]["checkpoint_layers"] == 2
    monkeypatch.setattr(starting, "layers_again", lambda *_: pytest.fail("what was decided is read back"))
    tuning.train(recipe, resume=True)
    assert json.loads((run.folder / "run.json").read_text())["decisions"]["checkpoint_layers"] == 2


def test_layers_that_are_asked_for_are_computed_again(quick, monkeypatch):
    monkeypatch.setattr(starting, "layers_again", lambda *_: pytest.fail("nothing is to be found out"))
    asked = []
    monkeypatch.setattr(starting, "checkpoint", lambda model, every: asked.append(every))
    for name, options in (("a", {"checkpoint_layers": 2}), ("b", {"activation_checkpointing": True})):
        tuning.train(recipe_of(quick, out=name, max_steps=1, **options))
    assert asked == [2, 1]
    with pytest.raises(RecipeError, match="'checkpoint_layers' must be at least 1"):
        plan_run(recipe_of(quick, checkpoint_layers=0))
