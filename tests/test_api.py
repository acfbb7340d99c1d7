import importlib
import subprocess
import sys

import pytest

import espalier
from espalier import check, compare, curate, evaluate, train
from espalier.contracts import Scores
from espalier.errors import RecipeError
from espalier.lm.scripted import Scripted
from tests.models_on_disk import answers, pairs, save_model, write_rows

QUICK = {"batch_size": 4, "max_steps": 2, "dtype": "float32", "threads": 1, "show": False}


@pytest.fixture
def made(tmp_path, monkeypatch):
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))
    save_model(tmp_path / "model")
    write_rows(tmp_path / "sft.jsonl", answers())
    write_rows(tmp_path / "dpo.jsonl", pairs())
    return tmp_path


def test_check_looks_without_writing(made):
    audit = check("sft", model=made / "model", data=made / "sft.jsonl")
    assert audit.read == 24
    assert sorted(path.name for path in made.iterdir()) == ["cache", "dpo.jsonl", "model", "sft.jsonl"]


def test_the_verbs_do_the_whole_job(made, capsys):
    steps = []
    first = train("sft", model=made / "model", data=made / "sft.jsonl", out=made / "a", on_step=steps.append, **QUICK)
    assert [event.step for event in steps] == [1, 2]
    assert all(event.values["loss"] > 0 for event in steps)
    second = train("dpo", start=first, data=made / "dpo.jsonl", out=made / "b", adapter="lora", beta=0.3, **QUICK)
    assert second.state == "finished"
    assert second.recipe.objective["beta"] == 0.3
    assert capsys.readouterr().out == ""

    held = made / "dpo.jsonl"
    before = evaluate(first, held, limit=12, generate=False)
    after = evaluate(second, held, limit=12, generate=False)
    assert "reward_accuracy" not in before.metrics, "a model by itself has no reference"
    assert after.metrics["reward_accuracy"].n == 12
    assert "logp_accuracy" in {change.measure for change in compare(before, after)}


def test_a_run_is_repeated_from_its_own_recipe(made):
    first = train("sft", model=made / "model", data=made / "sft.jsonl", out=made / "a", **QUICK)
    again = train(recipe=first.folder / "recipe.toml", out=made / "b", show=False)
    losses = [[event["loss"] for event in run.metrics() if event["kind"] == "step"] for run in (first, again)]
    assert losses[0] == losses[1]


def test_show_prints_what_the_command_line_prints(made, capsys):
    train("sft", model=made / "model", data=made / "sft.jsonl", out=made / "a", **{**QUICK, "show": True})
    assert "trained tokens" in capsys.readouterr().out


def test_a_wrong_option_is_a_sentence(made):
    with pytest.raises(RecipeError, match="Did you mean 'beta'"):
        train("dpo", model=made / "model", data=made / "dpo.jsonl", out=made / "a", betta=0.1)
    assert not (made / "a").exists()


def test_the_package_imports_nothing_heavy_until_it_is_asked():
    script = "import sys, espalier; print(*{'torch', 'transformers', 'rich'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout.strip() == ""


def test_train_is_the_verb_and_the_package():
    importlib.import_module("espalier.train.options")
    assert callable(espalier.train)
    assert espalier.train.options.TrainOptions
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        espalier.trian  # noqa: B018


def test_rows_are_made_from_python(made):
    rows = [{"prompt": "How much is two and two?", "answer": "4"}, {"prompt": "And three?", "answer": "5"}]
    found = curate("best_of_n", rows, Scripted("I think: 3", "So: 4", "So: 4", "So: 5"), scorer="exact_answer", n=2)
    assert [row["completion"] for row in found.kept] == ["So: 4", "So: 5"]
    by_name = curate("best_of_n", rows[:1], made / "model", scorer=Longest(), n=2, max_tokens=3)
    assert len(by_name.kept) == 1 and by_name.spent["completion_tokens"] > 0
    assert sorted(path.name for path in made.iterdir()) == ["dpo.jsonl", "model", "sft.jsonl"]


def test_a_curator_that_does_not_exist_is_a_sentence():
    with pytest.raises(RecipeError, match="best_of_n"):
        curate("best_of_m", [{"prompt": "Hello"}], scorer="exact_answer")


class Longest:
    def score(self, rows):
        return Scores(tuple(float(len(row["completion"])) for row in rows))
