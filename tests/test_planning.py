"""Planning: presets, what is held back, mixtures, and what planted rows depend on."""

import numpy as np
import pytest
from transformers import LlamaConfig

from espalier import tuning
from espalier.errors import RowError
from espalier.planning import check, faster, plan_run
from tests import running
from tests.models_on_disk import answers, pairs, recipe_of, write_rows

quick = running.quick
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*gradient_checkpointing. is deprecated:FutureWarning"
)  # PEFT asks for it


def test_a_check_reads_rows_and_loads_no_weights(quick, monkeypatch):
    monkeypatch.setattr("espalier.models.load.load_model", lambda *_, **__: 1 / 0)
    audit = check(recipe_of(quick))
    assert (audit.read, audit.kept, audit.held) == (24, 24, 5)
    assert not (quick / "run").exists()


def test_steps_follow_from_rows_batch_and_epochs(quick):
    assert plan_run(recipe_of(quick, batch_size=4, eval_share=0.0)).steps == 6
    assert plan_run(recipe_of(quick, batch_size=5, eval_share=0.0)).steps == 5
    assert plan_run(recipe_of(quick, batch_size=5, eval_share=0.0, epochs=0.5)).steps == 2
    assert plan_run(recipe_of(quick, batch_size=5, eval_share=0.0, epochs=2.0, max_steps=3)).steps == 3


def test_the_small_preset_is_for_adapters_and_all_weights_learn_at_a_tenth(quick):
    adapter = plan_run(recipe_of(quick, "dpo", adapter="lora"))
    full = plan_run(recipe_of(quick, "dpo"))
    assert adapter.options.learning_rate == pytest.approx(4 * 5e-5)  # four times, for the model is narrow
    assert full.options.learning_rate == pytest.approx(4 * 5e-6)
    assert adapter.options.preset == full.options.preset == "small"


@pytest.mark.parametrize(("width", "times"), [(8192, 1.0), (2048, 1.0), (720, 2.0), (256, 4.0), (32, 4.0)])
def test_narrow_models_get_higher_rates(width, times):
    assert faster(LlamaConfig(hidden_size=width, num_attention_heads=4)) == pytest.approx(times, rel=1e-2)


def test_a_learning_rate_that_is_given_is_kept_even_if_it_is_the_presets(quick):
    assert plan_run(recipe_of(quick, "dpo", learning_rate=5e-5)).options.learning_rate == 5e-5


def test_what_the_preset_gives_is_said(quick):
    said = plan_run(recipe_of(quick, "dpo", adapter="lora", learning_rate=3e-4)).audit.settings
    assert said.startswith("small: learning_rate 0.0003, ") and "warmup " in said
    said = plan_run(recipe_of(quick, "dpo", adapter="lora")).audit.settings
    assert said.startswith("small (learning rate x4: a narrow model): learning_rate 0.0002, ")


def test_an_adapter_that_is_trained_on_learns_like_one(quick):
    tuning.train(recipe_of(quick, adapter="lora", out="first", max_steps=1))
    assert plan_run(recipe_of(quick, "dpo", from_run=quick / "first")).options.learning_rate == pytest.approx(2e-4)


def test_a_run_that_goes_on_has_the_recipe_of_its_beginning(quick):
    run = tuning.train(recipe_of(quick, "dpo"), stop=lambda: True)
    first, again = plan_run(recipe_of(quick, "dpo")), plan_run(run.recipe)
    assert first.options == again.options
    assert first.store.folder == again.store.folder, "it does not tokenize the rows anew"
    assert first.numbers.tolist() == again.numbers.tolist() and first.held == again.held


def test_rendering_follows_the_run_that_is_started_from(quick):
    tuning.train(recipe_of(quick, out="first", max_steps=1, render={"thinking": "on"}))
    plan = plan_run(recipe_of(quick, "dpo", from_run=quick / "first"))
    assert plan.renderer.thinking == "on" and plan.recipe.render["thinking"] == "on"
    other = plan_run(recipe_of(quick, "dpo", from_run=quick / "first", render={"thinking": "off"}))
    assert other.renderer.thinking == "off"


def test_rows_are_planted_again_when_anything_they_depend_on_changes(quick):
    first = plan_run(recipe_of(quick)).store.folder
    assert plan_run(recipe_of(quick, batch_size=9, seed=5)).store.folder == first
    assert plan_run(recipe_of(quick, max_tokens=60)).store.folder != first
    assert plan_run(recipe_of(quick, render={"template": "plain"})).store.folder != first
    assert plan_run(recipe_of(quick, limit=5)).store.folder != first
    write_rows(quick / "sft.jsonl", answers(30))
    plan = plan_run(recipe_of(quick))
    assert plan.store.folder != first and plan.audit.read == 30


def test_rows_of_one_prompt_or_one_group_are_on_one_side(quick):
    rows = [{**row, "prompt": f"{n // 3}", "topic": n % 4} for n, row in enumerate(pairs(24))]
    data = write_rows(quick / "rows.jsonl", [{**row, "chosen": f"{n}"} for n, row in enumerate(rows)])
    for group, name in ((None, "prompt"), ("topic", "topic")):
        plan = plan_run(recipe_of(quick, "dpo", data=data, eval_share=0.3, eval_group=group))
        sides = [{plan.store.row(int(n))[name] for n in side} for side in (plan.numbers, plan.held)]
        assert sides[0] and sides[1] and not sides[0] & sides[1]
        assert sorted([*plan.numbers.tolist(), *plan.held]) == list(range(24))
    with pytest.raises(RowError, match="has no such column"):
        plan_run(recipe_of(quick, "dpo", data=data, eval_group="genre"))


def test_held_back_rows_of_their_own_are_not_trained_on(quick):
    eval_data = write_rows(quick / "eval.jsonl", [*answers(3, seed=9), answers()[0]])
    plan = plan_run(recipe_of(quick, eval_data=eval_data))
    assert plan.numbers.tolist() == list(range(24)) and plan.held == [24, 25, 26]
    assert plan.audit.dropped == {"duplicate": 1}, "a row of both is no test"


def test_a_mixture_repeats_and_thins_its_sources(quick):
    few = write_rows(quick / "few.jsonl", answers(4, seed=3))
    many = write_rows(quick / "many.jsonl", answers(20, seed=4))
    data = [{"path": str(few), "weight": 5.0}, {"path": str(many), "weight": 1.0}]
    plan = plan_run(recipe_of(quick, data=data, eval_share=0.0))
    found = np.bincount(plan.numbers, minlength=24)
    assert found.tolist()[:4] == [5] * 4 and found[4:].sum() == 4 and found[4:].max() == 1


def test_nothing_left_to_train_on_is_refused(quick):
    data = write_rows(quick / "rows.jsonl", answers(2))
    with pytest.raises(RowError, match="all 2 rows are held back"):
        plan_run(recipe_of(quick, data=data, eval_share=0.99))


@pytest.mark.parametrize(
    ("objective", "row", "sentence"),
    [
        ("dpo", {"completion": "b"}, "row 1: missing 'chosen', 'rejected'; .* These rows are good for sft"),
        ("kto", {"completion": "b", "label": True}, "answers have label true; .* These rows are good for sft"),
        ("dpo", {"completions": ["b", "c"], "ranks": [1, 2]}, "These rows are good for reward_model"),
        ("sft", {}, "missing 'completion'; .* No objective can use these rows; `espalier methods --for .*jsonl` says"),
    ],
)
def test_rows_an_objective_has_no_use_for_are_said_to_be_good_for_others(objective, row, sentence, quick):
    data = write_rows(quick / "rows.jsonl", [{"prompt": f"{n}", **row} for n in range(24)])
    with pytest.raises(RowError, match=sentence):
        check(recipe_of(quick, objective, data=data))


def test_rows_of_the_right_kind_that_are_too_long_are_left_to_the_audit(quick):
    assert check(recipe_of(quick, "dpo", max_tokens=3)).kept == 0
