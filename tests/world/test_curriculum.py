"""Lessons: conversations that quote what they were shown, of the kinds and shares that were asked for."""

import random
from collections import Counter

import pytest

from espalier import reading
from espalier.errors import RecipeError
from espalier.world.curriculum import LESSONS, closed, lesson, shelves
from espalier.world.facts import World


@pytest.fixture(scope="module")
def world():
    return World.make(300)


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_whole_conversations_and_follows_from_its_seed(world, name):
    rows = lesson(name, world, 120, seed=3)
    assert len(rows) == 120
    assert rows == lesson(name, world, 120, seed=3)
    assert rows != lesson(name, world, 120, seed=4)
    for row in rows:
        roles = [message["role"] for message in row["messages"]]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        assert all(message["content"].strip() for message in row["messages"])


def test_each_part_has_its_share(world):
    kinds = Counter(row["kind"] for row in lesson("seedling", world, 1000))
    whole = sum(part.share for part in LESSONS["seedling"])
    assert kinds["sum"] == pytest.approx(1000 * 0.14 / whole, abs=10)
    assert kinds["reading"] == pytest.approx(1000 * 0.25 / whole, abs=10)


def test_every_quote_stands_in_the_passages_and_holds_the_answer(world):
    rows = [row for row in lesson("third", world, 300) if row["kind"] in ("reading", "shelf en")]
    kinds = Counter(row["kind"] for row in rows)
    assert min(kinds.values()) > 10
    answered = 0
    for row in rows:
        shown = row["messages"][0]["content"]
        for message in row["messages"][1::2]:
            found = reading.read(message["content"])
            assert all(" ".join(quote.split()) in shown for quote in found.quotes)
            assert found.abstained == (not found.quotes)
            if found.quotes and found.answer not in ("yes", "no"):
                answered += 1
                assert found.answer.casefold() in " ".join(found.quotes).casefold()
    assert answered > 100


def test_brief_answers_quote_nothing_and_are_of_the_passages(world):
    rows = [row for row in lesson("second", world, 100) if row["kind"] == "brief"]
    assert len(rows) > 30
    for row in rows:
        shown = row["messages"][0]["content"].casefold()
        for message in row["messages"][1::2]:
            found = reading.read(message["content"])
            assert not found.quotes
            assert found.abstained or found.answer in ("yes", "no") or found.answer.casefold() in shown


def test_who_has_nothing_to_read_does_not_know(world):
    for row in closed(world, 20, random.Random(0)):
        question, answer = (message["content"] for message in row["messages"])
        assert question.startswith(reading.QUESTION)
        assert reading.read(answer).abstained


def test_shelves_are_about_entities_of_the_same_split():
    rows = list(shelves(World.make(100, split="test"), 30, random.Random(0), language="ko"))
    assert {row["kind"] for row in rows} == {"shelf ko"}
    assert all("[1] " in row["messages"][0]["content"] for row in rows)


def test_an_unknown_lesson_is_named(world):
    with pytest.raises(RecipeError, match=r"no lesson named 'frist'\. Did you mean 'first'"):
        lesson("frist", world, 10)
