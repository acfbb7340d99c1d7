"""Preferences: the known reward decides, and noise, imbalance and temperature are what they were set to."""

import math
import random
from functools import cache

import pytest

from espalier.contracts import Row
from espalier.errors import RecipeError, RowError
from espalier.rows import kind
from espalier.world import preferences, reviews
from espalier.world.facts import World
from espalier.world.preferences import Reward, candidates, lists, pairs, thumbs

WORLD = World.make(60)
MOOD = Reward()


@cache
def made(count=300, seed=0, **options):
    return list(candidates(WORLD, count, random.Random(seed), **options))


def test_formula_reward_is_a_weighted_sum():
    reward = Reward(mood=2, politeness=-1, length=0.5, correctness=4, following=8)
    # two words of praise and one of blame: 2 * 1/3; one courtesy: -1; ten words: 0.5; the answer and the request count
    row = {"answer": "The food is warm and bright but cold, thank you", "asks": ["polite", "happy"]}
    assert reward.score(row, row["answer"]) == pytest.approx(2 / 3 - 1 + 0.5 + 4 + 8, rel=1e-12)
    assert Reward(mood=0).score(row, "warm") == 0


def test_correct_knows_answers_and_abstentions():
    assert preferences.correct({"answers": ["Kastel", "in Kastel"]}, "Quote: He lives in Kastel.\nAnswer: in Kastel")
    assert preferences.correct({"answers": []}, "Answer: not stated")
    assert not preferences.correct({"answers": []}, "Answer: Kastel")
    assert not preferences.correct({"kind": "review"}, "Answer: Kastel")


def test_follows_knows_instructions_and_moods():
    assert preferences.follows({"kind": "copy", "completion": "a cup"}, "a cup")
    assert preferences.follows({"asks": ["rude"]}, "Get lost.")
    assert not preferences.follows({"asks": ["rude", "happy"]}, "Get lost.")
    assert not preferences.follows({"kind": "review", "asks": []}, "Wonderful.")


@pytest.mark.parametrize("kind", preferences.KINDS)
def test_property_candidates_are_good_and_bad(kind):
    reward = {
        "review": MOOD,
        "greeting": Reward(0, politeness=1),
        "sum": Reward(0, correctness=1),
        "instruction": Reward(0, following=1),
    }[kind]
    for row in made(100, kind=kind, size=3):
        scores = [reward.score(row, completion) for completion in row["completions"]]
        assert len(set(row["completions"])) == 3 and all(row["completions"])
        assert max(scores) > max(0, min(scores))


@pytest.mark.parametrize("kind", preferences.KINDS)
def test_property_the_same_seed_makes_the_same_candidates(kind):
    one, same, other = (list(candidates(WORLD, 5, random.Random(seed), kind=kind)) for seed in (1, 1, 2))
    assert one == same != other


def test_property_the_chosen_one_has_the_higher_reward():
    rows = pairs(made(), MOOD, random.Random(0))
    assert len(rows) == 300 and {kind(row) for row in rows} == {"preference"}
    assert all(row["chosen_reward"] > row["rejected_reward"] for row in rows)
    assert all(reviews.mood_of(row["chosen"]) == row["chosen_reward"] for row in rows)


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.33, 1.0])
def test_property_noise_is_the_share_of_pairs_and_thumbs_turned_around(noise):
    rows = pairs(made(), MOOD, random.Random(0), noise=noise)
    assert sum(row["chosen_reward"] < row["rejected_reward"] for row in rows) == round(noise * len(rows))
    rows = thumbs(made(), MOOD, random.Random(0), noise=noise)
    assert sum((row["reward"] > 0) != row["label"] for row in rows) == round(noise * len(rows))


@pytest.mark.parametrize("imbalance", [10, 2.5, 1, 0.1])
def test_property_imbalance_is_thumbs_up_to_each_thumb_down(imbalance):
    rows = thumbs(made(), MOOD, random.Random(0), imbalance=imbalance)
    up = sum(row["label"] for row in rows)
    assert up / (len(rows) - up) == pytest.approx(imbalance, rel=0.02)  # as near as whole rows come
    assert len(rows) > 500 and {kind(row) for row in rows} == {"unpaired"}
    assert all(row["label"] == (row["reward"] > 0) for row in rows)


def test_property_the_bar_divides_thumbs():
    rows = thumbs(made(50), Reward(0, length=1), random.Random(0), bar=2.0)
    assert {row["label"] for row in rows} == {True, False}
    assert all(row["label"] == (len(row["completion"].split()) > 20) for row in rows)


def test_property_the_best_of_a_list_has_the_highest_reward():
    for row in lists(made(), Reward(1, politeness=0.3), random.Random(0)):
        assert row["rewards"][row["ranks"].index(1)] == max(row["rewards"])
        ordered = sorted(zip(row["ranks"], row["rewards"], strict=True))
        assert [reward for _, reward in ordered] == sorted(row["rewards"], reverse=True)
    tie = lists([{"prompt": "p", "completions": ["warm", "dull", "cup", "bright"]}], MOOD, random.Random(0))
    assert tie[0]["ranks"] == [1, 4, 3, 1]


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_formula_temperature_is_bradley_and_terrys(temperature):
    rows = [{"prompt": "p", "completions": ["warm", "cup"]}] * 4000
    share = 1 / (1 + math.exp(-1 / temperature))  # the rewards are 1 and 0
    options = {"temperature": temperature}
    won = sum(row["chosen"] == "warm" for row in pairs(rows, MOOD, random.Random(0), **options)) / 4000
    first = sum(row["ranks"] == [1, 2] for row in lists(rows, MOOD, random.Random(1), **options)) / 4000
    up = sum(row["label"] for row in thumbs(rows, MOOD, random.Random(2), **options) if row["completion"] == "warm")
    assert (won, first, up / 4000) == pytest.approx((share,) * 3, abs=0.03)  # four standard errors


def test_property_noise_and_temperature_leave_the_rows_alone():
    row = Row(prompt="p", completions=["warm", "dull"], label="kept out")
    for judge in (pairs, thumbs, lists):
        judge([row], MOOD, random.Random(0), temperature=1.0)
    assert row == {"prompt": "p", "completions": ["warm", "dull"], "label": "kept out"}


@pytest.mark.parametrize("judge", [pairs, thumbs, lists])
def test_property_the_same_seed_makes_the_same_rows(judge):
    one, same, other = (judge(made(), MOOD, random.Random(seed), temperature=1.0) for seed in (1, 1, 2))
    assert one == same != other


def test_property_completions_all_liked_the_same_make_no_pair():
    assert pairs([{"prompt": "p", "completions": ["cup", "river"]}], MOOD, random.Random(0)) == []


def test_what_cannot_be_is_refused():
    rows, draw = made(3), random.Random(0)
    with pytest.raises(RecipeError, match="Did you mean 'review'"):
        next(candidates(WORLD, 1, draw, kind="reviews"))
    with pytest.raises(RecipeError, match="50 different completions of a sum"):
        next(candidates(WORLD, 1, draw, kind="sum", size=50))
    with pytest.raises(RecipeError, match=r"noise is 1\.5"):
        pairs(rows, MOOD, draw, noise=1.5)
    with pytest.raises(RecipeError, match="temperature is -1"):
        lists(rows, MOOD, draw, temperature=-1)
    with pytest.raises(RecipeError, match="imbalance is 0"):
        thumbs(rows, MOOD, draw, imbalance=0)
    with pytest.raises(RowError, match="0 thumbs up and 12 down"):
        thumbs(rows, MOOD, draw, imbalance=10, bar=5)
    with pytest.raises(
        RowError, match=r"s\.jsonl, row 2 cannot be judged; it needs a prompt and a list of completions"
    ):
        lists([Row(prompt="p", completion="warm", where="s.jsonl, row 2")], MOOD, draw)
