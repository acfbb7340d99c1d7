"""What can be true and how it is said."""

import random
import re
from collections import Counter
from itertools import product

import pytest

from espalier.world.wordings import PLAIN, after, ask, expansions, fill, mistake, pick, relations, state, words

VALUES = {"person", "place", "organization", "year", "number"}
ALL = relations().values()


def texts(frames):
    return [text for frame in frames for text in expansions(frame)]


def test_formula_expansions_are_all_choices_in_order():
    assert expansions("[a|b] x [c|d|]") == ["a x c", "a x d", "a x ", "b x c", "b x d", "b x "]
    assert expansions("plain") == ["plain"]


def test_pick_takes_every_choice_and_no_other():
    draw = random.Random(0)
    assert {pick("[a|b] x [c|d]", draw) for _ in range(200)} == set(expansions("[a|b] x [c|d]"))


def test_formula_names_are_put_in_and_the_first_letter_is_a_capital():
    assert fill("{s} was won by {o}.", "the Kabon Fair", "Kabim") == "The Kabon Fair was won by Kabim."
    assert fill("In {o} {s} was born.", "Kabim", "1874") == "In 1874 Kabim was born."


def test_an_article_follows_its_word():
    assert (
        fill("{s} is a {o}.", "It", "opera") == "It is an opera."
        and fill("A {o} it is.", "", "opera") == "An opera it is."
    )
    assert fill("{s} is a {o}.", "It", "novel") == "It is a novel."
    vowels = {
        value
        for relation in ALL
        if relation.value in ("genre", "occupation")
        for value in words()[relation.value]
        if value[0] in "aeiou"
    }
    for relation in ALL:
        if relation.value in ("genre", "occupation"):
            for text in texts((*relation.said, *relation.unseen, relation.yes)):
                assert all(f" a {value}" not in f" {fill(text, 'It', value)}".lower() for value in vowels)


def test_formula_behind_an_opening_only_names_keep_their_capital():
    assert after("It is said that ", "The home of {s} is {o}.") == "It is said that the home of {s} is {o}."
    assert after("It is said that ", "{s} lives in {o}.") == "It is said that {s} lives in {o}."


@pytest.mark.parametrize("relation", ALL, ids=lambda relation: relation.name)
def test_every_relation_is_whole(relation):
    assert relation.value in VALUES or relation.value in words()
    known, unseen = texts(relation.said), texts(relation.unseen)
    asked, asked_unseen = texts(relation.asked), texts(relation.asked_unseen)
    for one, other in ((known, unseen), (asked, asked_unseen)):
        assert one and other and not set(one) & set(other)
        assert len(set(one)) == len(one) and len(set(other)) == len(other)
    for text in known + unseen:
        assert text.count("{s}") == text.count("{o}") == 1 and text.endswith(".") and "[" not in text
    for text in asked + asked_unseen:
        assert text.count("{s}") == 1 and "{o}" not in text and text[-1] in "?."
    assert "{s}" in relation.yes and "{o}" in relation.yes and relation.yes.endswith("?")
    assert bool(relation.whose) == (relation.value in ("person", "place", "organization"))
    assert bool(relation.later) == bool(relation.earlier) == (relation.value in ("year", "number"))


def test_a_question_asks_for_one_relation_only():
    asked = [(relation.subject, text) for relation in ALL for text in texts(relation.asked + relation.asked_unseen)]
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize("wording", ["known", "unseen"])
def test_statements_hold_subject_and_value_in_the_wording_asked_for(wording):
    draw, bare = random.Random(0), 0
    for relation in ALL:
        frames = {fill(text, "Xena", "yak") for text in texts(relation.statements(wording))}
        for _ in range(40):
            said = state(relation, "Xena", "yak", draw, wording)
            assert "Xena" in said and "yak" in said.lower() and said.endswith(".") and "[" not in said
            bare += said in frames
        assert ask(relation, "Xena", draw, wording) in {
            fill(text, "Xena", "") for text in texts(relation.questions(wording))
        }
    assert 0.65 < bare / (40 * len(ALL)) < 0.85


def test_a_mistake_says_that_it_is_one():
    draw = random.Random(0)
    said = {mistake(relation, "Xena", "yak", draw) for relation in ALL for _ in range(20)}
    assert all(any(word in text for word in ("wrongly", "mistake", "false rumor")) for text in said)


def test_no_word_stands_twice_in_a_list():
    for name, values in words().items():
        assert len(set(values)) == len(values), name


def bag(text):
    return Counter(re.findall(r"\w+|\{\w\}", text.lower()))


@pytest.mark.parametrize("relation", ALL, ids=lambda relation: relation.name)
def test_what_is_held_out_is_not_a_known_wording_turned_around_or_with_a_word_more(relation):
    for known, unseen in ((relation.said, relation.unseen), (relation.asked, relation.asked_unseen)):
        for one, other in product(map(bag, texts(known)), map(bag, texts(unseen))):
            assert max((one - other).total(), (other - one).total()) >= 1, (one, other)


def test_plain_wordings_are_the_first_of_the_known_and_stand_bare():
    for relation in ALL:
        plain = {fill(text, "Rona", "x") for text in texts(relation.said[:PLAIN])}
        assert {state(relation, "Rona", "x", random.Random(seed), "plain") for seed in range(99)} <= plain
        assert relation.questions("plain") == relation.asked[:PLAIN] and len(relation.said) > 4 * PLAIN
