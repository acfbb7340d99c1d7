"""The world itself."""

import random
from collections import Counter

import pytest

from espalier.world.facts import MUTUAL, NUMBERS, SHARES, YEARS, Entity, World, value_of
from espalier.world.names import in_hangul, split_of
from espalier.world.wordings import relations, words

WORLD = World.make(200, split="train", seed=5)


def tokens(world):
    """What tells the entities of a world apart: surnames, towns, titles."""
    found = set()
    for entity in world.entities:
        if entity.kind == "person":
            found.add(entity.name.split(" ")[1])
        elif entity.kind in ("place", "work"):
            found.add(entity.name)
    return found


def test_the_same_seed_gives_the_same_world():
    assert World.make(60, seed=1) == World.make(60, seed=1)
    assert World.make(60, seed=1).entities != World.make(60, seed=2).entities


def test_worlds_share_no_surname_town_or_title():
    worlds = [World.make(300, split=split, seed=seed) for split in ("train", "dev", "test") for seed in (0, 1)]
    for one in worlds:
        for other in worlds:
            if one.split != other.split:
                assert not tokens(one) & tokens(other)
                assert not {e.name for e in one.entities} & {e.name for e in other.entities}
        assert all(split_of(token) == one.split for token in tokens(one))


@pytest.mark.parametrize("size", [1, 33, 200])
def test_kinds_have_their_shares_and_names_are_unique(size):
    world = World.make(size, split="dev")
    counts = Counter(entity.kind for entity in world.entities)
    for kind, share in SHARES.items():
        assert abs(counts[kind] - max(4, size * share)) <= 2
        assert {entity.kind for entity in world.by_kind[kind]} == {kind}
    assert len(world.by_name) == len(world.entities) == len({entity.name.lower() for entity in world.entities})


def test_every_entity_has_each_fact_of_its_kind_with_a_value_of_the_right_kind():
    for entity in WORLD.entities:
        known = {name for name, relation in relations().items() if relation.subject == entity.kind}
        assert set(WORLD.facts[entity.name]) == known
        for fact in WORLD.about(entity.name):
            kind = relations()[fact.relation].value
            assert fact.subject == entity and fact.value != entity.name
            if kind == "year":
                assert YEARS[fact.relation][0] <= int(fact.value) <= YEARS[fact.relation][1]
            elif kind == "number":
                number = int(fact.value.replace(",", ""))
                assert NUMBERS[fact.relation][0] <= number <= NUMBERS[fact.relation][1]
                assert fact.value == f"{number:,}"
            elif kind in SHARES:
                assert WORLD.by_name[fact.value].kind == kind
            else:
                assert fact.value in words()[kind]
    assert len(list(WORLD.all_facts())) == sum(map(len, WORLD.facts.values()))
    assert WORLD.about("nobody") == ()


def test_marriages_are_mutual():
    for person in WORLD.by_kind["person"]:
        for relation in MUTUAL:
            other = WORLD.facts[person.name][relation].value
            assert WORLD.facts[other][relation].value == person.name != other


def test_some_persons_share_a_surname():
    sizes = [len(members) for members in WORLD.families.values()]
    assert sum(sizes) == len(WORLD.by_kind["person"]) and 0.05 < sum(size > 1 for size in sizes) / len(sizes) < 0.5


def test_names_of_organizations_and_events_come_from_the_world():
    surnames = {person.name.split(" ")[1] for person in WORLD.by_kind["person"]}
    towns = {place.name for place in WORLD.by_kind["place"]}
    for entity in (*WORLD.by_kind["organization"], *WORLD.by_kind["event"]):
        first, _, rest = entity.name.removeprefix("the ").partition(" ")
        assert first in surnames | towns and rest in words()[entity.kind]
        assert in_hangul(first)


def test_nobody_is_a_value_of_oneself():
    two = (Entity("person", "Kabim Tena"), Entity("person", "Budus Rimo"))
    draw = random.Random(0)
    assert {value_of("teacher", "person", two[0], {"person": two}, draw) for _ in range(20)} == {"Budus Rimo"}
