"""Sums: the steps are true, the answer follows from the story alone, and the dials do what they say."""

import random
import re

import pytest

from espalier.errors import RecipeError
from espalier.world import sums
from espalier.world.facts import World
from espalier.world.wordings import expansions, words

WORLD = World.make(40)


def made(count=300, seed=0, **options):
    return list(sums.rows(WORLD, count, random.Random(seed), **options))


def solved(prompt: str) -> int:
    """The answer read from the story by its verbs."""
    total = None
    gain, loss = ("|".join(words()[name]) for name in ("gain", "loss"))
    for verb, number in re.findall(rf"\b(?:({gain}|{loss}|comes to have|makes them) )?(\d+)", prompt):
        times = verb in ("comes to have", "makes them")
        if total is None:
            total = int(number)
        else:
            signed = int(number) if verb in words()["gain"] else -int(number)
            total = total * int(number) if times else total + signed
    return total


def test_drills_are_true_equations_within_the_digits():
    for row in sums.drills(50, random.Random(0), sums.Difficulty(digits=2)):
        lines = row["completion"].splitlines()
        assert 6 <= len(lines) <= 12
        assert row["prompt"] == "Work out: " + ", ".join(line.partition(" =")[0] for line in lines)
        for line in lines:
            one, sign, two, _, result = line.split()
            assert sums.SIGNS[sign](int(one), int(two)) == int(result) and 0 < int(result) < 100


@pytest.mark.parametrize("wording", ["known", "plain", "unseen"])
def test_property_the_answer_follows_from_the_story(wording):
    for row in made(wording=wording):
        assert str(solved(row["prompt"])) == row["answer"]
        assert sums.check(row["completion"], row["answer"]) and sums.steps_right(row["completion"])
        assert row["completion"].count("\n") == row["steps"]
        assert "{" not in row["prompt"] and "[" not in row["prompt"]


def test_property_the_same_seed_makes_the_same_sums():
    assert made(seed=3) == made(seed=3) != made(seed=4)


@pytest.mark.parametrize("digits", [1, 2, 3])
def test_property_numbers_stay_within_the_digits_and_steps_within_their_bounds(digits):
    rows = made(difficulty=sums.Difficulty(digits=digits, steps=(2, 3), times=0.5))
    numbers = [int(number) for row in rows for number in re.findall(r"\d+", row["prompt"] + row["completion"])]
    assert min(numbers) >= 1 and 10**digits > max(numbers) >= 10 ** (digits - 1)
    assert {row["steps"] for row in rows} == {2, 3}


def test_property_without_times_nothing_is_multiplied():
    assert not any("*" in row["completion"] for row in made(difficulty=sums.Difficulty(times=0)))
    assert any("*" in row["completion"] for row in made())


def test_property_unseen_wordings_are_not_among_the_known():
    for known, unseen in ((sums.STORIES, sums.STORIES_UNSEEN), (sums.ASKED, sums.ASKED_UNSEEN)):
        assert not {text for frame in known for text in expansions(frame)} & set(unseen)


def test_property_a_spoiled_sum_is_wrong_in_its_last_step_only():
    for row in made():
        wrong = sums.spoiled(row, random.Random(1))
        assert not sums.check(wrong, row["answer"]) and not sums.steps_right(wrong)
        assert wrong.splitlines()[:-2] == row["completion"].splitlines()[:-2]


def test_check_takes_the_final_answer_and_nothing_else():
    assert sums.check("12 + 7 = 19\nAnswer: 19", "19") and sums.check("Answer: 19.", "19") and sums.check("19", "19")
    assert not sums.check("12 + 7 = 19\nAnswer: 190", "19") and not sums.check("12 + 7 = 19", "19")
    assert not sums.check("", "19")


@pytest.mark.parametrize(
    ("completion", "right"),
    [
        ("12 + 7 = 19\n19 - 5 = 14\nAnswer: 14", True),
        ("12 + 7 = 18\n18 - 5 = 13\nAnswer: 13", False),  # an equation that is false
        ("12 + 7 = 19\n18 - 5 = 13\nAnswer: 13", False),  # goes on from another number
        ("12 + 7 = 19\n19 - 5 = 14\nAnswer: 15", False),  # answers something else
        ("12 + 7 = 19 apples\nAnswer: 19", False),
        ("12 + 7 = 19", False),
        ("Answer: 19", False),
        ("1 + 1 = " + "9" * 5000 + "\\nAnswer: 1", False),  # more digits than Python reads
        ("", False),
    ],
)
def test_steps_right(completion, right):
    assert sums.steps_right(completion) is right


@pytest.mark.parametrize("options", [{"digits": 0}, {"steps": (0, 2)}, {"steps": (3, 2)}])
def test_a_difficulty_that_cannot_be_is_refused(options):
    with pytest.raises(RecipeError, match="cannot be made"):
        sums.Difficulty(**options)
