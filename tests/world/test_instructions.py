"""Instructions: the reply of each row is right, the reply of another is not, and every kind can be checked by hand."""

import random

import pytest

from espalier.errors import RecipeError
from espalier.world import instructions
from espalier.world.instructions import KINDS, Given, followed

GIVEN = Given(("river", "apple", "garden"), "apple", "stone", 3)
REPLIES = {
    "copy": "river apple garden",
    "capitals": "RIVER APPLE GARDEN",
    "first_word": "river",
    "last_word": "garden",
    "count_words": "3",
    "sort": "apple garden river",
    "reverse": "garden apple river",
    "commas": "river, apple, garden",
    "longest": "garden",
    "replace": "river stone garden",
    "repeat": "apple apple apple",
    "hyphens": "a-p-p-l-e",
    "exactly": "river apple garden",
    "holding": "river apple stone",
}


def made(count=400, seed=0, **options):
    return list(instructions.rows(count, random.Random(seed), **options))


@pytest.mark.parametrize("kind", KINDS)
def test_formula_replies(kind):
    assert KINDS[kind].reply(GIVEN) == REPLIES[kind]


@pytest.mark.parametrize("wording", ["known", "unseen"])
def test_property_the_reply_of_a_row_follows_it(wording):
    rows = made(wording=wording)
    assert {row["kind"] for row in rows} == set(KINDS)
    for row in rows:
        assert followed(row, row["completion"]) and followed(row, f" {row['completion']}\n")
        assert not followed(row, "") and not followed(row, row["completion"] + " indeed")
        assert not set("{}[]|") & set(row["prompt"])


def test_property_a_spoiled_reply_does_not_follow():
    for row in made():
        wrong = instructions.spoiled(row, random.Random(1))
        assert wrong and not followed(row, wrong)


def test_property_replies_of_other_kinds_are_as_a_rule_wrong():
    rows = made(1000)
    others = rows[1:] + rows[:1]
    assert sum(followed(row, other["completion"]) for row, other in zip(rows, others, strict=True)) < 50


def test_followed_counts_words_where_any_words_will_do():
    exactly, holding = (made(1, kinds=[kind])[0] | {"n": 3, "word": "cup"} for kind in ("exactly", "holding"))
    assert followed(exactly, "one two three") and not followed(exactly, "one two")
    assert followed(holding, "a red cup.") and not followed(holding, "a red cap") and not followed(holding, "cup")


def test_property_texts_have_the_size_asked_for_and_one_longest_word():
    for row in made(kinds=["copy"], size=(3, 4)):
        lengths = sorted(map(len, row["completion"].split()))
        assert len(lengths) in (3, 4) and lengths[-1] > lengths[-2]


def test_property_unseen_wordings_are_not_among_the_known():
    assert all(kind.asked and kind.unseen and not set(kind.asked) & set(kind.unseen) for kind in KINDS.values())


def test_property_the_same_seed_makes_the_same_rows():
    assert made(seed=1) == made(seed=1) != made(seed=2)


def test_a_kind_that_does_not_exist_is_refused():
    with pytest.raises(RecipeError, match="Did you mean 'reverse'"):
        made(1, kinds=["revers"])
