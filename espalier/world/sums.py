"""Sums told as stories: numbers that change in a few steps, the steps worked out, and the answer."""

from __future__ import annotations

import operator
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from espalier import reading
from espalier.contracts import Row
from espalier.errors import RecipeError
from espalier.world.facts import World
from espalier.world.wordings import Wording, pick, worded, words

SIGNS = {"+": operator.add, "-": operator.sub, "*": operator.mul}
STEP = re.compile(r"([0-9]{1,18}) ([-+*]) ([0-9]{1,18}) = ([0-9]{1,36})")
LARGEST_FACTOR = 5
DRILLED = (6, 12)  # equations in one drill
SLIPS = (-10, -2, -1, 1, 2, 10)  # by how much a spoiled sum is wrong

Step = tuple[str, int]  # a sign and a number


@dataclass(frozen=True)
class Difficulty:
    """How hard sums are.

    Args:
        digits: of the largest number that may appear, results among them.
        steps: fewest and most.
        times: chance that a step multiplies, where the result is not too large.
    """

    digits: int = 2
    steps: tuple[int, int] = (2, 6)
    times: float = 0.15

    def __post_init__(self) -> None:
        if self.digits < 1 or not 1 <= self.steps[0] <= self.steps[1]:
            raise RecipeError(
                f"sums of {self.digits} digits in {self.steps[0]} to {self.steps[1]} steps cannot be made; "
                "give at least one digit, and steps as fewest and most, from 1 up."
            )


STORIES = (  # {clauses} are all steps in one sentence, {more} as it goes on from another, {sentences} each in its own
    "{s} has {n} {thing}{more}.",
    "{s} starts with {n} {thing}{more}.",
    "There are {n} {thing} in the house of {s}. {s} {clauses}.",
    "{s} has {n} {thing}. {sentences}",
    "{s} owns {n} {thing}. {sentences}",
    "[In the morning|At first] {s} has {n} {thing}. {sentences}",
    "{s} [keeps|holds] {n} {thing}{more}.",
    "[One day|On Monday] {s} counts {n} {thing}{more}.",
    "In the [cellar|shed|shop] of {s} there are {n} {thing}. {sentences}",
    "{s}, the owner of {n} {thing}, {clauses}.",
    "With {n} {thing} to begin with, {s} {clauses}.",
    "[Early in the day|Before breakfast] {s} counts {n} {thing}. {sentences}",
    "The [collection|stock] of {s} consists of {n} {thing}. {sentences}",
    "{s} [takes|carries] {n} {thing} to the market. {sentences}",
    "{s} has nothing at first and is given {n} {thing}. {sentences}",
    "In front of {s} lie {n} {thing}. {s} {clauses}.",
    "At the start of the [day|week] {s} owns {n} {thing}{more}.",
    "{s} owns nothing but {n} {thing}. {sentences}",
    "{n} {thing} are what {s} has at first. {sentences}",
    "This is a story about {s} and {n} {thing}: {s} {clauses}.",
    "Here is what happens to the {n} {thing} of {s}: {s} {clauses}.",
)
STORIES_UNSEEN = (
    "{n} {thing} belong to {s}, who {clauses}.",
    "{s} came home with {n} {thing}. {sentences}",
)
ASKED = (
    "How many {thing} does {s} have [now|in the end|after that]?",
    "How many {thing} [are left|are there now|remain]?",
    "What is the number of {thing} [now|in the end]?",
    "How many {thing} does {s} [own|keep] [now|in the end|at the end]?",
    "How many {thing} does that [make|leave]?",
    "How many {thing} are there [at the end|after all this]?",
    "[At the end|Now|After all this], how many {thing} does {s} have?",
    "With how many {thing} does {s} [end|finish]?",
    "[Work out|Find] the number of {thing} that {s} has [now|at the end].",
    "What is the final number of {thing}?",
    "[Can you say|Do you know] how many {thing} {s} has [now|in the end]?",
    "How many {thing} belong to {s} [now|after that|at last]?",
    "{s} now has how many {thing}?",
    "If {s} counts the {thing} [now|again], how many are there?",
    "[Say|Write down] how many {thing} {s} has in the end.",
    "So how many {thing} remain with {s}?",
    "To what number do the {thing} of {s} come?",
)
ASKED_UNSEEN = ("What number of {thing} does {s} have at last?", "Tell me how many {thing} there are now.")
JOINTS = ("Then", "After that", "Next", "Later")
GROWTH = ("comes to have {n} times as many", "makes them {n} times as many")


def rows(
    world: World, count: int, draw: random.Random, difficulty: Difficulty | None = None, *, wording: Wording = "known"
) -> Iterator[Row]:
    """Sums about people of a world: `prompt`, `completion`, `answer`, `kind`, `steps`.

    Args:
        world: where the people live.
        count: how many sums.
        draw: where chance comes from.
        difficulty: how hard they are.
        wording: known wordings, or those kept out of training.
    """
    for _ in range(count):
        start, steps = numbers(draw, difficulty or Difficulty())
        lines, total = worked(start, steps)
        story = told(draw.choice(world.by_kind["person"]).name, start, steps, draw, wording)
        reply = "\n".join((*lines, reading.reply(str(total))))
        yield Row(prompt=story, completion=reply, answer=str(total), kind="sum", steps=len(steps))


def drills(count: int, draw: random.Random, difficulty: Difficulty | None = None) -> Iterator[Row]:
    """Bare equations to complete, several at a time: `prompt`, `completion`, `kind`. Practice for the steps of sums."""
    single = replace(difficulty or Difficulty(), steps=(1, 1))
    for _ in range(count):
        lines = [worked(*numbers(draw, single))[0][0] for _ in range(draw.randint(*DRILLED))]
        asked = ", ".join(line.partition(" =")[0] for line in lines)
        yield Row(prompt=f"Work out: {asked}", completion="\n".join(lines), kind="drill")


def numbers(draw: random.Random, difficulty: Difficulty) -> tuple[int, list[Step]]:
    """A number to start from and what happens to it; it stays above zero and within the digits."""
    most = 10**difficulty.digits - 1
    start = total = draw.randint(2, most)
    steps: list[Step] = []
    for _ in range(draw.randint(*difficulty.steps)):
        if total * 2 <= most and draw.random() < difficulty.times:
            sign, number = "*", draw.randint(2, min(LARGEST_FACTOR, most // total))
        elif total == 1 or (total < most and draw.random() < 0.5):
            sign, number = "+", draw.randint(1, most - total)
        else:
            sign, number = "-", draw.randint(1, total - 1)
        steps.append((sign, number))
        total = SIGNS[sign](total, number)
    return start, steps


def worked(start: int, steps: Sequence[Step]) -> tuple[list[str], int]:
    """Each step as an equation that begins with the result of the one before; and the last result."""
    lines, total = [], start
    for sign, number in steps:
        result = SIGNS[sign](total, number)
        lines.append(f"{total} {sign} {number} = {result}")
        total = result
    return lines, total


def told(name: str, start: int, steps: Sequence[Step], draw: random.Random, wording: Wording = "known") -> str:
    """The story and the question."""
    story = pick(draw.choice(worded(STORIES, STORIES_UNSEEN, wording)), draw)
    asked = pick(draw.choice(worded(ASKED, ASKED_UNSEEN, wording)), draw)
    parts = [clause(step, draw) for step in steps]
    clauses = " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))
    return f"{story} {asked}".format(
        s=name,
        n=start,
        thing=draw.choice(words()["thing"]),
        clauses=clauses,
        more=f", {clauses}" if len(parts) > 1 else f" and {clauses}",
        sentences=" ".join(f"{draw.choice(JOINTS)} {name} {part}." for part in parts),
    )


def clause(step: Step, draw: random.Random) -> str:
    """What somebody does: "buys 7 more"."""
    sign, number = step
    if sign == "*":
        return pick(draw.choice(GROWTH), draw).replace("{n}", str(number))
    verb = draw.choice(words()["gain" if sign == "+" else "loss"])
    return f"{verb} {number} more" if sign == "+" else f"{verb} {number}"


def spoiled(row: Mapping[str, Any], draw: random.Random) -> str:
    """A wrong reply that looks like the right one: the last step has another result."""
    *lines, last, _ = row["completion"].splitlines()
    wrong = draw.choice([number for slip in SLIPS if (number := int(row["answer"]) + slip) >= 0])
    return "\n".join((*lines, f"{last.rpartition(' ')[0]} {wrong}", reading.reply(str(wrong))))


def check(completion: str, answer: str) -> bool:
    """Whether a reply's final answer is exactly this."""
    return reading.read(completion).short.removesuffix(".") == answer


def steps_right(completion: str) -> bool:
    """Whether a reply works in true equations, each going on from the one before, and answers with the last result."""
    *lines, last = completion.strip().splitlines() or [""]
    found = [STEP.fullmatch(line.strip()) for line in lines]
    steps = [step.groups() for step in found if step is not None]
    if not steps or len(steps) < len(found) or not last.startswith(reading.ANSWER):
        return False
    true = all(SIGNS[sign](int(left), int(right)) == int(result) for left, sign, right, result in steps)
    chained = all(one[3] == two[0] for one, two in pairwise(steps))
    return true and chained and check(last, steps[-1][3])
