"""Preferences of somebody whose reward is known: pairs, thumbs and ranked lists, with noise as asked for.

They are made from rows with a `prompt` and several `completions`: those of `candidates`, or samples of a model that
stand in that column. What a method learns from them can then be measured by the reward itself.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from espalier import reading
from espalier.contracts import Row
from espalier.errors import RecipeError, RowError, unknown
from espalier.world import instructions, reviews, sums
from espalier.world.facts import World

KINDS = ("review", "greeting", "sum", "instruction")
TRIES = 100


@dataclass(frozen=True)
class Reward:
    """What is liked, and how much: a weight for each property of a completion; a weight below zero dislikes it.

    Args:
        mood: from -1 (unhappy) to 1 (happy), by its words.
        politeness: from -1 (rude) to 1 (polite), by its phrases.
        length: in tens of words.
        correctness: 1 if it gives the row's answer.
        following: 1 if it does what the row asks: an instruction, or a mood and a manner.
    """

    mood: float = 1.0
    politeness: float = 0.0
    length: float = 0.0
    correctness: float = 0.0
    following: float = 0.0

    def score(self, row: Mapping[str, Any], completion: str) -> float:
        """The reward of a completion."""
        return (
            self.mood * reviews.mood_of(completion)
            + self.politeness * reviews.politeness_of(completion)
            + self.length * len(completion.split()) / 10
            + self.correctness * correct(row, completion)
            + self.following * follows(row, completion)
        )


def correct(row: Mapping[str, Any], completion: str) -> bool:
    """Whether a completion gives an answer that the row accepts; where it accepts none, whether it abstains."""
    if "answer" not in row and "answers" not in row:
        return False
    answers = row["answers"] if "answers" in row else [row["answer"]]
    if not answers:
        return reading.read(completion).abstained
    return any(sums.check(completion, str(answer)) for answer in answers)


def follows(row: Mapping[str, Any], completion: str) -> bool:
    """Whether a completion does what the row asks; not if it asks nothing that can be checked."""
    if row.get("kind") in instructions.KINDS:
        return instructions.followed(row, completion)
    return bool(row.get("asks")) and reviews.heeded(row["asks"], completion)


def candidates(world: World, count: int, draw: random.Random, *, kind: str = "review", size: int = 4) -> Iterator[Row]:
    """Prompts with several different `completions`, good ones and bad ones among them, in any order.

    Args:
        world: where names come from.
        count: how many prompts.
        draw: where chance comes from.
        kind: "review" (both moods), "greeting" (both manners), "sum" or "instruction" (right and wrong).
        size: completions of each.

    Raises:
        RecipeError: there is no such kind, or so many different completions cannot be found.
    """
    if kind not in KINDS:
        raise RecipeError(unknown("kind of candidates", kind, KINDS))
    for _ in range(count):
        row = next(prompts(world, kind, draw))
        found: dict[str, None] = {}
        for number in range(TRIES * size):
            found.setdefault(another(world, row, kind, number % 2 == 0, draw))
            if len(found) == size:
                break
        else:
            raise RecipeError(f"{size} different completions of a {kind} cannot be made; ask for fewer.")
        completions = list(found)
        draw.shuffle(completions)
        yield Row(row, completions=completions)


def prompts(world: World, kind: str, draw: random.Random) -> Iterator[Row]:
    """One row of a kind."""
    if kind == "review":
        return reviews.reviews(world, 1, draw)
    if kind == "greeting":
        return reviews.greetings(world, 1, draw)
    return sums.rows(world, 1, draw) if kind == "sum" else instructions.rows(1, draw)


def another(world: World, row: Row, kind: str, good: bool, draw: random.Random) -> str:
    """A completion of the row: happy or not, polite or not, right or wrong."""
    if kind == "review":
        mood = reviews.MOODS[not good]
        return reviews.review(world.by_name[row["subject"]], mood, draw.random() < 0.5, draw)
    if kind == "greeting":
        return reviews.greeting(good, draw)
    if good:
        return str(row["completion"])
    return sums.spoiled(row, draw) if kind == "sum" else instructions.spoiled(row, draw)


def pairs(
    rows: Iterable[Mapping[str, Any]], reward: Reward, draw: random.Random, *,
    noise: float = 0.0, temperature: float = 0.0,
) -> list[Row]:  # fmt: skip
    """One pair from each row whose completions are not all liked the same.

    Gives `prompt`, `chosen`, `rejected`, the true `chosen_reward` and `rejected_reward`, and `kind` if there is one.

    Args:
        rows: prompts with completions.
        reward: what is liked.
        draw: where chance comes from.
        noise: share of the pairs that are turned around.
        temperature: how often the better one loses by itself, after Bradley and Terry: it wins with the probability
            sigmoid(difference of rewards / temperature); at 0 always.
    """
    made = []
    for row in rows:
        unequal = [pair for pair in combinations(scored(row, reward), 2) if pair[0][1] != pair[1][1]]
        if not unequal:
            continue
        pair = draw.choice(unequal)
        felt = perceived([value for _, value in pair], temperature, draw)
        made.append((row, *(pair if felt[0] > felt[1] else pair[::-1])))
    for number in drawn(len(made), noise, draw):
        row, chosen, rejected = made[number]
        made[number] = (row, rejected, chosen)
    return [
        Row(kept(row), chosen=chosen, rejected=rejected, chosen_reward=won, rejected_reward=lost)
        for row, (chosen, won), (rejected, lost) in made
    ]


def thumbs(
    rows: Iterable[Mapping[str, Any]], reward: Reward, draw: random.Random, *,
    bar: float = 0.0, imbalance: float | None = None, noise: float = 0.0, temperature: float = 0.0,
) -> list[Row]:  # fmt: skip
    """Every completion with a thumb: `prompt`, `completion`, `label` (true: up), the true `reward`, `kind`.

    Args:
        rows: prompts with completions.
        reward: what is liked.
        draw: where chance comes from.
        bar: a reward above it is a thumb up.
        imbalance: thumbs up to each thumb down before noise (10, or 0.1); as many as possible are kept.
        noise: share of the thumbs that are turned around.
        temperature: up with the probability sigmoid((reward - bar) / temperature); at 0 there is no doubt.

    Raises:
        RowError: an imbalance is asked for, and all thumbs are the same.
    """
    made = []
    for row in rows:
        for completion, value in scored(row, reward):
            felt = perceived((value, bar), temperature, draw)
            made.append(Row(kept(row), completion=completion, label=felt[0] > felt[1], reward=value))
    made = made if imbalance is None else balanced(made, imbalance, draw)
    for number in drawn(len(made), noise, draw):
        made[number]["label"] = not made[number]["label"]
    return made


def lists(
    rows: Iterable[Mapping[str, Any]], reward: Reward, draw: random.Random, *, temperature: float = 0.0
) -> list[Row]:
    """Ranked lists: `prompt`, `completions`, `ranks` (1 is best; equals share a rank), the true `rewards`, `kind`.

    Args:
        rows: prompts with completions.
        reward: what is liked.
        draw: where chance comes from.
        temperature: of the ranking, after Plackett and Luce; each two compare as in `pairs`.
    """
    made = []
    for row in rows:
        values = [value for _, value in scored(row, reward)]
        felt = perceived(values, temperature, draw)
        ranks = [1 + sum(other > one for other in felt) for one in felt]
        made.append(Row(kept(row), completions=list(row["completions"]), ranks=ranks, rewards=values))
    return made


def scored(row: Mapping[str, Any], reward: Reward) -> list[tuple[str, float]]:
    """The completions of a row, each with its reward."""
    if not {"prompt", "completions"} <= row.keys():
        raise RowError(f"{getattr(row, 'where', 'row')} cannot be judged; it needs a prompt and a list of completions.")
    return [(completion, reward.score(row, completion)) for completion in row["completions"]]


def kept(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a judged row keeps of the one it was made from."""
    return {name: row[name] for name in ("prompt", "kind") if name in row}


def perceived(rewards: Sequence[float], temperature: float, draw: random.Random) -> list[float]:
    """Rewards as somebody feels them who errs: reward / temperature + Gumbel noise; at 0 they are what they are."""
    if temperature < 0:
        raise RecipeError(f"temperature is {temperature}; it must be 0 or more.")
    if temperature == 0:
        return list(rewards)
    return [reward / temperature - math.log(draw.expovariate(1.0)) for reward in rewards]


def drawn(count: int, share: float, draw: random.Random) -> list[int]:
    """The places of a share of so many rows."""
    if not 0 <= share <= 1:
        raise RecipeError(f"noise is {share}; it is a share, from 0 to 1.")
    return draw.sample(range(count), round(share * count))


def balanced(rows: Sequence[Row], imbalance: float, draw: random.Random) -> list[Row]:
    """The most rows that have so many thumbs up to each thumb down, in their order."""
    if imbalance <= 0:
        raise RecipeError(f"imbalance is {imbalance}; give thumbs up to each thumb down, for example 10 or 0.1.")
    up, down = ([place for place, row in enumerate(rows) if row["label"] is label] for label in (True, False))
    downs = min(len(down), math.floor(len(up) / imbalance))
    ups = min(len(up), round(downs * imbalance))
    if not ups or not downs:
        raise RowError(
            f"{len(up)} thumbs up and {len(down)} down cannot be thinned to {imbalance:g} to 1; "
            "give more rows or a bar that divides them."
        )
    return [rows[place] for place in sorted((*draw.sample(up, ups), *draw.sample(down, downs)))]
