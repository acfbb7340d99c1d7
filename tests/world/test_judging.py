"""Relevance rows are labelled by what the passage states; a written question is answered by its passage."""

import random
from collections import Counter

import pytest

from espalier.world import judging
from espalier.world.facts import World
from espalier.world.wordings import expansions, relations

WORLD = World.make(150)


def facts_asked(query: str, wording: str) -> set[tuple[str, str]]:
    """Subject and relation of every fact that a question can ask for."""
    return {
        (entity.name, relation.name)
        for relation in relations().values()
        for frame in relation.questions(wording)
        for text in expansions(frame)
        for entity in WORLD.by_kind[relation.subject]
        if entity.name.casefold() in query.casefold()
        and text.replace("{s}", entity.name).casefold() == query.casefold()
    }


def facts_stated(document: str, wording: str) -> set[tuple[str, str]]:
    """Subject and relation of every fact whose statement, as it may be worded, the passage holds."""
    return {
        (fact.subject.name, fact.relation)
        for fact in WORLD.all_facts()
        if fact.subject.name.casefold() in document.casefold() and fact.value.casefold() in document.casefold()
        for frame in relations()[fact.relation].statements(wording)
        for text in expansions(frame.removesuffix("."))
        if text.replace("{s}", fact.subject.name).replace("{o}", fact.value).casefold() in document.casefold()
    }


@pytest.mark.parametrize("wording", ["known", "unseen"])
def test_property_yes_means_that_the_passage_states_what_is_asked(wording):
    for row in judging.relevance_rows(WORLD, 80, random.Random(1), wording=wording):
        asked, stated = facts_asked(row["query"], wording), facts_stated(row["document"], wording)
        assert asked and stated
        assert bool(asked & stated) == (row["completion"] == "yes"), row
        assert row["prompt"] == judging.relevance_prompt(row["query"], row["document"])


def test_property_half_are_answered_and_most_others_come_close():
    rows = list(judging.relevance_rows(WORLD, 2000, random.Random(0)))
    kinds = Counter(row["negative"] for row in rows)
    assert kinds[""] == sum(row["completion"] == "yes" for row in rows)
    assert abs(kinds[""] / 2000 - 0.5) < 0.05
    assert kinds["relation"] + kinds["entity"] > 7 * kinds["both"] > 0
    assert min(kinds["relation"], kinds["entity"]) > 300


def test_property_a_hard_negative_keeps_the_entity_or_the_relation():
    for row in judging.relevance_rows(WORLD, 200, random.Random(2)):
        asked, stated = facts_asked(row["query"], "known"), facts_stated(row["document"], "known")
        if row["negative"] == "relation":
            assert {name for name, _ in asked} & {name for name, _ in stated}
        if row["negative"] == "entity":
            assert {relation for _, relation in asked} & {relation for _, relation in stated}
            assert not any(name in row["document"] for name, _ in asked)


def test_property_the_smallest_world_has_somebody_who_is_not_mentioned():
    small = World.make(1)
    rows = list(judging.relevance_rows(small, 500, random.Random(0), facts=(1, 9)))
    assert {row["negative"] for row in rows} == {"", "relation", "entity", "both"}


def test_property_a_written_question_is_answered_by_its_passage():
    for row in judging.query_rows(WORLD, 80, random.Random(3)):
        assert facts_asked(row["completion"], "known") & facts_stated(row["document"], "known")
        assert row["document"] in row["prompt"]


def test_property_a_written_sentence_answers_its_question():
    for row in judging.document_rows(WORLD, 80, random.Random(4)):
        assert facts_asked(row["query"], "known") & facts_stated(row["completion"], "known")
        assert row["query"] in row["prompt"]


@pytest.mark.parametrize("make", [judging.relevance_rows, judging.query_rows, judging.document_rows])
def test_property_the_same_seed_makes_the_same_rows(make):
    one, same, other = (list(make(WORLD, 20, random.Random(seed))) for seed in (5, 5, 6))
    assert one == same != other
