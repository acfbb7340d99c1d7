"""Seedling, the model for tests: it really reads and speaks, and a preference changes what it says within seconds."""

import random

import pytest

from espalier import reading, train
from espalier.lm.local import Local
from espalier.run import load
from espalier.world import reviews
from espalier.world.beir import write_rows
from espalier.world.curriculum import PLAIN
from espalier.world.facts import World
from espalier.world.preferences import Reward, candidates, pairs
from espalier.world.questions import context

GUESTS = 64


def politeness(target, prompts):
    """The mean politeness of one sampled greeting for each visitor, from -1 to 1."""
    loaded = load(target, device="cpu", dtype="float32")
    said = Local(loaded.policy, loaded.renderer).sample(prompts, temperature=1.0, max_tokens=32, seed=1)
    return sum(reviews.politeness_of(one.text) for (one,) in said) / len(said)


def test_it_reads_about_people_nobody_has_heard_of():
    loaded = load("seedling", device="cpu", dtype="float32")
    world, draw = World.make(200, split="test"), random.Random(0)
    made = [found for _ in range(60) if (found := context(world, draw, PLAIN)).questions][:30]
    asked = [reading.prompt(one.questions[0].text, one.shown()) for one in made]
    replies = Local(loaded.policy, loaded.renderer).sample(asked, temperature=0.0, max_tokens=64)
    right = sum(
        reading.read(reply.text).answer == one.questions[0].answer for (reply,), one in zip(replies, made, strict=True)
    )
    assert right >= 15  # closed-book it would be none


@pytest.mark.parametrize("sign", [1, -1])
def test_learns_manners_from_pairs_and_not_from_pairs_that_are_turned_around(tmp_path, monkeypatch, sign):
    monkeypatch.setenv("ESPALIER_CACHE", str(tmp_path / "cache"))
    world, draw = World.make(200), random.Random(0)
    judged = pairs(candidates(world, 160, draw, kind="greeting", size=2), Reward(mood=0, politeness=sign), draw)
    write_rows(tmp_path / "pairs.jsonl", judged)
    run = train(
        "dpo", model="seedling", data=tmp_path / "pairs.jsonl", out=tmp_path / "run", adapter="lora",
        learning_rate=1e-3, max_steps=40, batch_size=16, dtype="float32", threads=1, eval_rows=8,
    )  # fmt: skip
    guests = [row["prompt"] for row in reviews.greetings(World.make(200, split="test"), GUESTS, random.Random(1))]
    before, after = politeness("seedling", guests), politeness(run.folder, guests)
    assert abs(before) < 0.6
    assert (after - before > 0.3) is (sign == 1)
