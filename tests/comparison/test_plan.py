"""The plan: who takes part, on which rows, and how long each is trained."""

import pytest

from espalier.comparison.candidates import expand
from espalier.comparison.plan import nearest, plan
from espalier.errors import RecipeError, RowError
from espalier.planning import plan_run
from espalier.recipe import load_recipe
from espalier.train.store import Order
from espalier.trees.forest import Forest
from tests.models_on_disk import answers, pairs, save_model, write_rows

SMALL = {"batch_size": 4, "eval_share": 0.25, "dtype": "float32", "threads": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("models") / "model")


@pytest.fixture
def planned(model, tmp_path, monkeypatch):
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))

    def make(*words, rows=None, varied=(), seeds=1, tokens=None, **given):
        data = write_rows(tmp_path / "rows.jsonl", rows or pairs())
        options = SMALL | {"model": model, "data": data, "out": tmp_path / "out"} | given
        candidates = expand(words, varied)
        recipes = [(c, load_recipe(None, c.settings, objective=c.what, **options)) for c in candidates]
        agenda = plan(recipes, tmp_path / "out", seeds=seeds, tokens=tokens)
        agenda.shared.write(tmp_path / "out" / "rows")
        return agenda

    return make


def taken(run):
    """What a run will really do, from its own recipe: its plan, and the tokens of each step."""
    plan = plan_run(run.recipe)
    order = Order(plan.numbers, plan.options.batch_size, plan.options.seed, plan.store.prompts)
    batches = [order.batch(step) for step in range(plan.steps)]
    sizes = [Forest.plant([plan.store[n] for n in batch]).layout.ids.numel() for batch in batches]
    return plan, batches, sizes


def prompts(plan, numbers):
    return [plan.store.row(n)["prompt"] for n in numbers]


def test_the_same_rows_in_the_same_order_and_as_many_tokens_within_half_a_step(planned):
    agenda = planned("dpo", "kto", "sft", seeds=2)
    assert [run.name for run in agenda.runs] == ["dpo", "kto", "sft", "dpo-seed-1", "kto-seed-1", "sft-seed-1"]
    rows = {}
    for run in agenda.runs:
        plan, batches, sizes = taken(run)
        assert (plan.steps, sum(sizes)) == (run.steps, run.tokens)
        assert abs(run.tokens - agenda.budget) <= max(sizes) / 2
        held, first = prompts(plan, plan.held), [prompts(plan, batch) for batch in batches[:4]]
        assert rows.setdefault(run.seed, (held, first)) == (held, first)
        assert not set(held) & {prompt for batch in first for prompt in batch}
    assert rows[0][0] == rows[1][0] and rows[0][1] != rows[1][1]  # another seed: another order of the same rows
    steps = {run.candidate: run.steps for run in agenda.runs}
    assert steps["dpo"] == steps["kto"] == 5 < steps["sft"]
    assert agenda.runs[2].passes == pytest.approx(1 + (steps["sft"] - 5) * 4 / 18) and agenda.runs[0].passes == 1


def test_tokens_and_epochs_are_asked_for(planned):
    one = planned("dpo", "sft").budget
    assert planned("dpo", "sft", epochs=2).budget == pytest.approx(2 * one, rel=0.02)
    agenda = planned("dpo", "sft", tokens=7 * one)
    assert agenda.budget == 7 * one and "each row is seen" in agenda.warnings[0]
    assert "by dpo" in agenda.warnings[0] and "by sft" in agenda.warnings[0]


def test_a_candidate_with_a_length_of_its_own_keeps_it(planned):
    steps = {run.candidate: run.steps for run in planned("dpo", "dpo:max_steps=2", "dpo:epochs=3").runs}
    assert steps == {"dpo": 5, "dpo-max_steps-2": 2, "dpo-epochs-3": 15}


def test_a_row_that_one_cannot_use_none_gets(planned):
    rows = pairs()
    rows[3] = rows[3] | {"chosen": rows[3]["rejected"]}  # nothing to prefer, but something to imitate
    agenda = planned("dpo", "sft", rows=rows)
    assert agenda.shared.left_out == 0 and sum(map(len, agenda.shared.trained)) + len(agenda.shared.held) == 23
    agenda = planned("sft", "dpo", rows=rows)
    assert agenda.warnings == ("1 rows are left out: not every candidate can use them",)


def test_rows_that_a_candidate_cannot_use_at_all_mark_it(planned):
    agenda = planned("sft", "dpo", "sft:batch_size=2", "reward_model", rows=answers())
    assert [run.name for run in agenda.runs] == ["sft", "sft-batch_size-2"] and set(agenda.marked) == {
        "dpo",
        "reward_model",
    }
    assert "missing 'chosen', 'rejected'" in agenda.marked["dpo"] and "trains a scorer" in agenda.marked["reward_model"]
    with pytest.raises(RowError, match=r"no candidate can be trained on these rows\. dpo: .*missing 'chosen'"):
        planned("dpo", "ipo", rows=answers())


def test_who_imitates_gets_the_liked_ones_of_rated_answers(planned):
    rows = [row | {"label": n % 3 > 0} for n, row in enumerate(answers(48))]
    agenda = planned("kto", "sft", rows=rows)
    kto, sft = (plan_run(run.recipe) for run in agenda.runs)
    assert len(kto.numbers) + len(kto.held) == 48 and len(sft.numbers) + len(sft.held) == 32
    assert {sft.store.row(n)["label"] for n in sft.numbers} == {True}
    liked = [n for n in kto.numbers if kto.store.row(n)["label"]]
    assert prompts(kto, liked) == prompts(sft, sft.numbers)


def test_wrong_recipes_are_not_marked_but_refused(planned):
    with pytest.raises(RecipeError, match=r"^dpo: max_tokens = 99999 is more than the model's context"):
        planned("dpo", "ipo", max_tokens=99999)
    with pytest.raises(RecipeError, match="two runs are called 'dpo-seed-1'"):
        planned("dpo:seed=0", "dpo:seed=1", "dpo", seeds=2)


def test_formula_nearest():
    assert nearest(iter([4, 8, 12]), 9) == (2, 8)
    assert nearest(iter([4, 8, 12]), 10) == (2, 8)
    assert nearest(iter([4, 8, 12]), 11) == (3, 12)
    assert nearest(iter([4, 8]), 1) == (1, 4)
