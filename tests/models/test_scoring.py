"""Scorers: the same scores as plain transformers, whatever stands beside a row, and refusals in one sentence."""

import json

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from espalier.contracts import Row
from espalier.errors import ModelError, RecipeError, RunError
from espalier.models.scoring import LoadedScorer, is_scorer, load_scorer
from espalier.render import Renderer
from tests.evaluation.runs import write_run
from tests.models.scorers import save_decoder, save_encoder
from tests.models_on_disk import save_model

ROWS = [Row(prompt=f"Why {'so ' * n}?", completion="be" + "cause " * (n % 4)) for n in range(9)]


def alone(folder, inputs):
    """What transformers' own class gives for one row by itself."""
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        return float(model(**{name: torch.tensor([values]) for name, values in inputs.items()}).logits[0, 0])


@pytest.mark.parametrize("pad", ["<|im_start|>", None])
def test_equals_transformers_on_rows_as_they_are_rendered_for_training(tmp_path, pad):
    folder = save_decoder(tmp_path / "rm", pad=pad)
    renderer = Renderer(AutoTokenizer.from_pretrained(folder))
    found = load_scorer(folder, device="cpu").score(ROWS)
    for row, value in zip(ROWS, found.values, strict=True):
        ids = renderer.completion(row["prompt"], row["completion"]).ids.tolist()
        assert value == pytest.approx(alone(folder, {"input_ids": ids}), abs=1e-5)
    assert len(set(found.values)) == len(ROWS)


def test_equals_transformers_on_an_encoders_two_segments(tmp_path):
    folder = save_encoder(tmp_path / "rm")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    scorer = load_scorer(folder, device="cpu")
    for row, value in zip(ROWS, scorer.score(ROWS).values, strict=True):
        inputs = dict(tokenizer(row["prompt"], row["completion"]))
        assert set(inputs["token_type_ids"]) == {0, 1}
        assert value == pytest.approx(alone(folder, inputs), abs=1e-5)
    turns = Row(prompt=[{"role": "user", "content": ROWS[0]["prompt"]}], completion=ROWS[0]["completion"])
    assert scorer.score([turns]).values == pytest.approx(scorer.score(ROWS[:1]).values, abs=1e-5)


def test_a_row_that_cannot_be_scored_has_none_and_a_reason(tmp_path):
    scorer = load_scorer(save_decoder(tmp_path / "rm"), device="cpu")
    found = scorer.score([Row(prompt="a"), ROWS[0], Row(prompt="a " * 200, completion="b")])
    assert found.values[0] is None and found.values[1] is not None and found.values[2] is None
    assert found.reasons == ("missing 'completion', to be scored", "", "longer than the model's context of 128 tokens")


def test_a_run_is_scored_with_its_own_template(tmp_path):
    run = write_run(tmp_path / "run")
    with pytest.raises(RunError, match=r"has no result yet\. Go on with it: espalier train --resume"):
        load_scorer(run)
    save_decoder(run / "model")
    with (run / "recipe.toml").open("a", encoding="utf-8") as file:
        file.write('\n[render]\ntemplate = "plain"\n')
    plain, own = load_scorer(run, device="cpu"), load_scorer(run / "model", device="cpu")
    assert plain.renderer.template_name == "plain" and own.renderer.template_name == "model"
    assert plain.key != own.key and plain.score(ROWS[:1]).values != own.score(ROWS[:1]).values


def test_what_gives_no_single_score_is_refused(tmp_path):
    writes, three = save_model(tmp_path / "lm"), save_decoder(tmp_path / "three", num_labels=3)
    assert not is_scorer(writes) and is_scorer(three)
    with pytest.raises(ModelError, match=r"lm: gives no scores\. Give a reward model"):
        load_scorer(writes)
    with pytest.raises(ModelError, match="has 3 labels; a model that scores has one"):
        load_scorer(three)
    with pytest.raises(ModelError, match="no such folder"):
        load_scorer(tmp_path / "nothing")
    with pytest.raises(RecipeError, match="no dtype named 'half'"):
        load_scorer(save_decoder(tmp_path / "rm"), dtype="half")


def test_a_head_that_is_not_in_the_file_is_not_made_up(tmp_path):
    folder = save_model(tmp_path / "lm")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"architectures": ["LlamaForSequenceClassification"], "num_labels": 1, "id2label": {"0": "LABEL_0"}}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match=r"weights are missing, score\.weight first"):
        load_scorer(folder, device="cpu")


def test_broken_weights_are_refused(tmp_path, monkeypatch):
    scorer = load_scorer(save_decoder(tmp_path / "rm"), device="cpu")
    scorer.model.score.weight.data.fill_(float("nan"))
    with pytest.raises(ModelError, match="a score is not finite"):
        scorer.score(ROWS[:1])


def test_a_loaded_scorer_stands_where_a_language_model_could(tmp_path):
    scorer = load_scorer(save_decoder(tmp_path / "rm"), device="cpu")
    loaded = LoadedScorer(scorer, scorer.describe)
    assert loaded.renderer is None and loaded.base is None and loaded.describe == str(tmp_path / "rm")
