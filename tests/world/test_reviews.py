"""Reviews and greetings: their scorers find the mood and the manner that they were written in."""

import random

import pytest

from espalier.world import reviews
from espalier.world.facts import World
from espalier.world.wordings import expansions, words

WORLD = World.make(120)


def made(count=600, seed=0, **options):
    return list(reviews.reviews(WORLD, count, random.Random(seed), **options))


def test_property_scorers_find_the_mood_and_the_manner():
    for row in made():
        assert (reviews.mood_of(row["completion"]) > 0) == (row["mood"] == "happy"), row
        assert reviews.mood_of(row["completion"]) != 0
        assert reviews.politeness_of(row["completion"]) == (1 if row["polite"] else -1), row
        assert not set("{}[]|") & set(row["prompt"] + row["completion"])


def test_property_moods_and_manners_are_about_even_and_independent():
    rows = made(2000)
    for mood in ("happy", "unhappy"):
        for polite in (True, False):
            share = sum(row["mood"] == mood and row["polite"] is polite for row in rows) / len(rows)
            assert abs(share - 0.25) < 0.04
    mixed = sum(abs(reviews.mood_of(row["completion"])) < 1 for row in rows) / len(rows)
    assert 0.02 < mixed < 0.2


def test_property_a_review_keeps_to_what_was_asked():
    rows = made()
    asking = [row for row in rows if row["asks"]]
    assert abs(len(asking) / len(rows) - 0.3) < 0.08
    for row in asking:
        said = {row["mood"], reviews.manner(row["polite"])}
        assert said.issuperset(row["asks"])
        assert all(f" {word} " in row["prompt"] for word in row["asks"])
    assert not any(row["asks"] for row in made(asked=0.0))


def test_property_a_review_names_its_subject_in_the_prompt():
    kinds = {WORLD.by_name[row["subject"]].kind for row in made() if row["subject"] in row["prompt"]}
    assert kinds == {"work", "place", "organization"}


def test_property_greetings_are_polite_or_rude():
    rows = list(reviews.greetings(WORLD, 300, random.Random(0)))
    assert all(reviews.politeness_of(row["completion"]) == (1 if row["polite"] else -1) for row in rows)
    assert abs(sum(row["polite"] for row in rows) / 300 - 0.5) < 0.1


@pytest.mark.parametrize("frames", ["POLITE", "RUDE", "WELCOMES", "REFUSALS"])
def test_property_every_wording_of_a_manner_has_that_manner_and_no_mood(frames):
    texts = [text for frame in getattr(reviews, frames) for text in expansions(frame)]
    assert {reviews.politeness_of(text) for text in texts} == {1.0 if frames in ("POLITE", "WELCOMES") else -1.0}
    assert {reviews.mood_of(text) for text in texts} == {0.0}


def test_property_a_judgement_without_its_words_has_no_mood():
    assert {reviews.mood_of(text) for frame in reviews.JUDGEMENTS for text in expansions(frame)} == {0.0}
    assert not set(words()["praise"]) & set(words()["blame"])


def test_formula_mood_is_the_balance_of_words():
    # two praising words, one blaming: (2 - 1) / 3; the title's "Bright" is no praise, and "moved" is not "moving"
    assert reviews.mood_of("The Bright River is warm and Clever, but dull. It moved me.") == pytest.approx(1 / 3)
    assert reviews.mood_of("AWFUL!") == -1 and reviews.mood_of("") == 0


def test_formula_politeness_is_the_balance_of_phrases():
    assert reviews.politeness_of("Please come in. Thank you. Now be quiet!") == pytest.approx(1 / 3)
    assert reviews.politeness_of("Get lost.") == -1 and reviews.politeness_of("The river.") == 0


def test_property_the_same_seed_makes_the_same_rows():
    assert made(30, 1) == made(30, 1) != made(30, 2)
    one, same, other = (list(reviews.greetings(WORLD, 20, random.Random(seed))) for seed in (1, 1, 2))
    assert one == same != other
