"""The world itself: people, places, works, organizations and events, and everything that is true of them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from espalier.world.names import Names, Split
from espalier.world.wordings import relations, words

SHARES = {"person": 0.4, "place": 0.16, "work": 0.16, "organization": 0.14, "event": 0.14}
MUTUAL = ("spouse",)  # what is true of one is true of the other
YEARS = {"born": (1700, 1960), "published": (1720, 2020), "founded": (1600, 2000)}
NUMBERS = {"population": (300, 99_000), "staff": (8, 900), "visitors": (100, 40_000)}


@dataclass(frozen=True)
class Entity:
    """Somebody or something with a name."""

    kind: str
    name: str


@dataclass(frozen=True)
class Fact:
    """Something that is true: the value is an entity's name, a word or a number, as it is written."""

    subject: Entity
    relation: str
    value: str


@dataclass(frozen=True)
class World:
    """Entities and facts; the same seed, size and split give the same world.

    Entities of one split share no surname, no town and no title with those of another.
    """

    split: Split
    entities: tuple[Entity, ...]
    facts: Mapping[str, Mapping[str, Fact]]  # by the subject's name and the relation
    by_kind: Mapping[str, tuple[Entity, ...]] = field(repr=False, default_factory=dict)
    by_name: Mapping[str, Entity] = field(repr=False, default_factory=dict)

    @classmethod
    def make(cls, size: int = 300, *, split: Split = "train", seed: int = 0) -> World:
        """A world of about so many entities.

        Args:
            size: entities; at least a few of each kind.
            split: train, dev or test.
            seed: of everything.
        """
        draw = random.Random(f"world {split} {seed} {size}")
        names = Names(draw, split)
        kinds = {kind: max(4, round(size * share)) for kind, share in SHARES.items()}
        kinds["person"] += kinds["person"] % 2  # all are married
        found: dict[str, list[Entity]] = {
            "place": [Entity("place", names.new(names.place)) for _ in range(kinds["place"])]
        }
        found["person"] = people(kinds["person"], names, draw)
        found["work"] = [Entity("work", names.new(lambda: title(draw))) for _ in range(kinds["work"])]
        for kind in ("organization", "event"):
            make = partial(named, kind, found, draw)
            found[kind] = [Entity(kind, names.new(make)) for _ in range(kinds[kind])]
        entities = tuple(entity for kind in SHARES for entity in found[kind])
        facts = {entity.name: dict(true_of(entity, found, draw)) for entity in entities}
        for fact in weddings(found["person"], draw):
            facts[fact.subject.name][fact.relation] = fact
        by_kind = {kind: tuple(found[kind]) for kind in SHARES}
        return cls(split, entities, facts, by_kind, {entity.name: entity for entity in entities})

    def all_facts(self) -> Iterator[Fact]:
        """Every fact, subject by subject."""
        for entity in self.entities:
            yield from self.facts[entity.name].values()

    @cached_property
    def families(self) -> Mapping[str, tuple[Entity, ...]]:
        """Persons by their surname."""
        found: dict[str, list[Entity]] = {}
        for entity in self.by_kind["person"]:
            found.setdefault(entity.name.split(" ")[-1], []).append(entity)
        return {surname: tuple(members) for surname, members in found.items()}

    def about(self, name: str) -> tuple[Fact, ...]:
        """What is true of a subject; nothing if nobody bears that name."""
        return tuple(self.facts.get(name, {}).values())


def other_than(entity: Entity, pool: Sequence[Entity], draw: random.Random) -> Entity:
    """Another entity of a pool that holds at least two."""
    while (other := draw.choice(pool)) == entity:
        pass
    return other


def people(count: int, names: Names, draw: random.Random) -> list[Entity]:
    """Persons; one in four shares a surname with another, so that a surname alone does not tell who is meant."""
    found: list[Entity] = []
    while len(found) < count:
        surname = found[-1].name.split(" ")[1] if found and draw.random() < 0.25 else names.new(names.surname)
        name = f"{names.given()} {surname}"
        if name not in names.taken:
            names.taken.add(name)
            found.append(Entity("person", name))
    return found


def weddings(persons: Sequence[Entity], draw: random.Random) -> Iterator[Fact]:
    """Who is married to whom, and so the other way round."""
    shuffled = draw.sample(persons, len(persons))
    for one, other in zip(shuffled[::2], shuffled[1::2], strict=True):
        yield from (Fact(one, "spouse", other.name), Fact(other, "spouse", one.name))


def title(draw: random.Random) -> str:
    """The title of a work."""
    return f"The {draw.choice(words()['title_adjective'])} {draw.choice(words()['title_noun'])}"


def named(kind: str, found: Mapping[str, Sequence[Entity]], draw: random.Random) -> str:
    """The name of an organization or an event, after a town or a surname."""
    after = draw.choice(found["place"]).name if draw.random() < 0.6 else draw.choice(found["person"]).name.split(" ")[1]
    name = f"{after} {draw.choice(words()[kind])}"
    return f"the {name}" if kind == "event" else name


def true_of(entity: Entity, found: Mapping[str, Sequence[Entity]], draw: random.Random) -> Iterator[tuple[str, Fact]]:
    """The facts of an entity, one for each relation that its kind has."""
    for relation in relations().values():
        if relation.subject == entity.kind:
            yield (
                relation.name,
                Fact(entity, relation.name, value_of(relation.name, relation.value, entity, found, draw)),
            )


def value_of(
    relation: str, kind: str, subject: Entity, found: Mapping[str, Sequence[Entity]], draw: random.Random
) -> str:
    """A value of the right kind; nobody marries or teaches oneself."""
    if kind == "year":
        return str(draw.randint(*YEARS[relation]))
    if kind == "number":
        return f"{draw.randint(*NUMBERS[relation]):,}"
    if kind in found:
        return other_than(subject, found[kind], draw).name
    return draw.choice(words()[kind])
