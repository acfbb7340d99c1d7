"""Forgetting: the number worked by hand, where its text comes from, what it costs, and what is said where it fails."""

import json
import math

import pytest
import torch

from espalier.errors import RowError
from espalier.evaluation.compare import FEWEST
from espalier.evaluation.forgetting import ANSWER, GIVEN, LONGEST, OWN, ROWS, TAUGHT, Forgetting, General, forgotten
from espalier.evaluation.forgetting_prompts import PROMPTS
from espalier.evaluation.likelihood import Likelihood
from espalier.evaluation.measure import Measurement
from espalier.models.load import bundled
from espalier.run import Run
from tests.evaluation.tiny import RENDERER, SAID, tiny_role

MUCH = 1 << 30


def weighed(general, model, tuned, tokens=MUCH):
    forgetting = Forgetting(general, RENDERER, 0, tokens)
    forgetting.before(model)
    return forgetting, forgetting.after(tuned)


def disturbed(seed=0, by=0.05):
    role = tiny_role(seed)
    draw = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for p in role.inner.model.parameters():
            p.add_(torch.randn(p.shape, generator=draw), alpha=by)
    return role


def test_formula_nats_per_token_and_the_ratio_of_perplexities():
    before = [Likelihood(-4.0, 2, 9), Likelihood(-2.0, 4, 9)] * 6  # 6 nats in 6 tokens: perplexity e
    after = [Likelihood(-5.0, 2, 9), Likelihood(-4.0, 4, 9)] * 6  # 9 nats in 6 tokens
    found = forgotten(before, after, seed=0)
    assert found["before"] == pytest.approx(math.e, rel=1e-12) and found["after"] == pytest.approx(math.exp(1.5))
    assert found["nats"] == pytest.approx(0.5) and found["change"] == pytest.approx(math.exp(0.5) - 1)
    assert 0.5 <= found["nats_low"] + 1e-9 <= found["nats_high"] + 2e-9 and found["word"] == "lost"
    assert (found["n"], found["tokens"]) == (12, 36)


def test_property_the_other_way_round_it_is_a_gain_and_the_same_is_neither():
    lower, higher = ([Likelihood(-nats - 0.1 * n, 3, 9) for n in range(12)] for nats in (5.0, 4.0))
    assert forgotten(lower, higher, seed=0)["word"] == "gained"
    same = forgotten(lower, lower, seed=0)
    assert same["word"] == "cannot say" and same["nats"] == same["low"] == same["high"] == 0


def test_property_a_model_moves_away_from_its_own_answers_and_not_from_itself():
    general = General.of("auto", "somebody/model")
    still, same = weighed(general, tiny_role(), tiny_role())
    assert general == General(OWN) and same["nats"] == pytest.approx(0, abs=1e-6)
    assert all(int(path.mask.sum()) <= ANSWER for path in still.paths) and len(still.paths) <= len(PROMPTS)
    near, far = (weighed(general, tiny_role(), disturbed(by=by))[1]["nats"] for by in (0.02, 0.2))
    assert 0 < near < far
    again = weighed(general, tiny_role(), disturbed(by=0.2))[1]
    assert again["nats"] == far and again["word"] == "lost"


def test_its_own_answers_are_weighed_as_they_were_sampled():
    forgetting, _ = weighed(General(OWN), tiny_role(), tiny_role())
    prompt = RENDERER.prompt(PROMPTS[0]).tolist()
    first = forgetting.paths[0]
    assert first.ids[: len(prompt)].tolist() == prompt and first.mask.tolist() == [False] * len(prompt) + [True] * (
        len(first.ids) - len(prompt)
    )


def test_rows_are_cut_and_no_more_than_the_tokens_allow():
    long = General(GIVEN, tuple(type(SAID[0])(text="so it goes " * 200) for _ in range(30)))
    forgetting, found = weighed(long, tiny_role(), tiny_role(), tokens=12 * 96)
    assert {len(path.ids) for path in forgetting.paths} == {96} and LONGEST > 96  # the model's context
    assert found["n"] == 12
    assert weighed(long, tiny_role(), tiny_role(), tokens=1)[1]["n"] == FEWEST


def test_a_bundled_model_is_asked_what_it_was_taught():
    general = General.of("auto", bundled("seedling"))
    assert general.what == TAUGHT and len(general.rows) == ROWS and all("messages" in row for row in general.rows)
    assert General.of("auto", bundled("seedling")) == general
    assert General.of("off", bundled("seedling")) is None
    assert General.of("auto", "/elsewhere/seedling") == General(OWN)


def test_rows_of_the_user_come_first(tmp_path):
    file = tmp_path / "general.jsonl"
    rows = [dict(row) for row in SAID] + [{"prompt": "no answer"}]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    general = General.of(str(file), bundled("sprout"))
    assert general.what == GIVEN and [dict(row) for row in general.rows] == rows[:-1]
    assert weighed(general, tiny_role(), disturbed())[1]["n"] == len(SAID)


def test_too_few_rows_are_refused_and_a_file_that_is_not_there(tmp_path):
    file = tmp_path / "few.jsonl"
    file.write_text("".join(json.dumps(dict(row)) + "\n" for row in SAID[:3]), encoding="utf-8")
    with pytest.raises(RowError, match=r"3 of its rows have a text.*give 10 or more, or general = off"):
        General.of(str(file), "model")
    with pytest.raises(RowError):
        General.of(str(tmp_path / "nowhere.jsonl"), "model")


def test_what_cannot_be_weighed_does_not_end_a_run():
    model = tiny_role()
    model.inner.model.config.max_position_embeddings = 8  # no prompt fits
    forgetting, found = weighed(General(OWN), model, model)
    assert found == {"what": OWN, "problem": forgetting.problem} and "no room is left" in found["problem"]


def test_a_result_that_is_not_finite_is_said(tmp_path):
    broken = tiny_role()
    with torch.no_grad():
        broken.inner.model.lm_head.weight.fill_(float("nan"))
    assert "not finite" in weighed(General(OWN), tiny_role(), broken)[1]["problem"]


def test_a_run_keeps_it_also_without_held_back_rows(tmp_path):
    (tmp_path / "run.json").write_text('{"state": "running"}', encoding="utf-8")
    run = Run.open(tmp_path)
    measured = Measurement(run, [], RENDERER, 0, lambda *_: None, Forgetting(General(OWN), RENDERER, 0, MUCH))
    measured.before(disturbed(), tiny_role())  # behind virtual tokens that say nothing yet
    measured.after(tiny_role(), None)
    assert run.read("evaluation.json")["general"]["nats"] == pytest.approx(0, abs=1e-6)
