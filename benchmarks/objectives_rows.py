"""Rows of the invented world for the measurement of objectives, of somebody who likes happy reviews and nothing else.

Training rows are about the dev world, what is measured is asked of the test world: they share no name.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from espalier.contracts import Row
from espalier.world import preferences, reviews
from espalier.world.facts import World

ENTITIES = 300  # of each world
REWARD = preferences.Reward()  # the mood, from -1 to 1
WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Rows:
    """Which rows to make: the same seed gives the same texts, whatever the noise."""

    kind: Literal["pairs", "thumbs", "liked"] = "pairs"
    n: int = 256  # pairs, or rated reviews; of those the liked
    noise: float = 0.0  # share of pairs or thumbs that are turned around
    imbalance: float = 1.0  # thumbs up to each thumb down, before noise
    temperature: float = 0.0  # of a doubtful judge, after Bradley and Terry
    split: Literal["dev", "test"] = "dev"
    seed: int = 0


def made(rows: Rows) -> list[Row]:
    """The rows, with their true rewards."""
    draw = random.Random(f"rows {rows.split} {rows.seed}")
    world = World.make(ENTITIES, split=rows.split, seed=0)
    found = pairs(world, rows, draw) if rows.kind == "pairs" else thumbs(world, rows, draw)
    liked = [row for row in found if rows.kind == "liked" and row["label"]]
    return [Row(prompt=row["prompt"], completion=row["completion"]) for row in liked] if liked else found


def unasked(world: World, n: int, draw: random.Random) -> list[Row]:
    """Reviews two by two, of which no mood was asked; more than n."""
    return [row for row in preferences.candidates(world, 2 * n + 50, draw, size=2) if not row["asks"]]


def pairs(world: World, rows: Rows, draw: random.Random) -> list[Row]:
    """Exactly n pairs; the better of the two is chosen but for doubt and noise."""
    unequal = [row for row in unasked(world, rows.n, draw) if len({v for _, v in preferences.scored(row, REWARD)}) == 2]
    how = {"noise": rows.noise, "temperature": rows.temperature}
    return preferences.pairs(unequal[: rows.n], REWARD, draw, **how)


def thumbs(world: World, rows: Rows, draw: random.Random) -> list[Row]:
    """Exactly n rated reviews of the imbalance asked for, of which a share is turned around."""
    found = preferences.thumbs(unasked(world, rows.n, draw), REWARD, draw)
    ups = round(rows.n * rows.imbalance / (1 + rows.imbalance))
    liked, disliked = ([row for row in found if row["label"] is label] for label in (True, False))
    chosen = [*liked[:ups], *disliked[: rows.n - ups]]
    draw.shuffle(chosen)
    for number in preferences.drawn(len(chosen), rows.noise, draw):
        chosen[number]["label"] = not chosen[number]["label"]
    return chosen


def prompts(count: int) -> list[str]:
    """What the model is asked afterwards: reviews of which no mood is asked, about strangers."""
    world = World.make(ENTITIES, split="test", seed=0)
    return [row["prompt"] for row in reviews.reviews(world, count, random.Random("asked"), asked=0.0)]


@cache
def vocabulary() -> frozenset[str]:
    """Every word that a review of the test world may have."""
    world = World.make(ENTITIES, split="test", seed=0)
    found = preferences.candidates(world, 400, random.Random("words"), size=4)
    texts = [*world.by_name, *(text for row in found for text in row["completions"])]
    return frozenset(word.lower() for text in texts for word in WORD.findall(text))


def whole(text: str) -> bool:
    """Whether a text has words, and none that no review has: broken text earns praise without being a review."""
    found = {word.lower() for word in WORD.findall(text)}
    return bool(found) and found <= vocabulary()


def digest(*of: Any) -> str:
    """What tells rows, prompts or settings from others."""
    return hashlib.sha256(json.dumps(of, default=str, sort_keys=True).encode()).hexdigest()[:16]


def bayes(rows: Sequence[Mapping[str, Any]], temperature: float) -> float:
    """How often the better completion is the chosen one where the judge doubts so: nobody can do better."""
    gaps = [abs(row["chosen_reward"] - row["rejected_reward"]) for row in rows]
    return sum(1 / (1 + math.exp(-gap / temperature)) if temperature else 1.0 for gap in gaps) / len(gaps)
