"""Passages: a few sentences about one entity, and for each sentence the fact it states, if it states one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from espalier.world.facts import Entity, Fact, World, value_of
from espalier.world.wordings import Wording, fill, mistake, pick, relations, state, words


@dataclass(frozen=True)
class Sentence:
    """A sentence, and the fact that it states; None for filler and for what is declared false."""

    text: str
    fact: Fact | None = None


@dataclass(frozen=True)
class Passage:
    """What one document says about one entity."""

    entity: Entity
    sentences: tuple[Sentence, ...]

    @property
    def title(self) -> str:
        """The entity's name, as a heading."""
        name = self.entity.name
        return name[0].upper() + name[1:]

    @property
    def text(self) -> str:
        """The sentences in one line."""
        return " ".join(sentence.text for sentence in self.sentences)

    def stating(self, relation: str) -> Sentence | None:
        """The sentence that states this about the entity."""
        return next((s for s in self.sentences if s.fact is not None and s.fact.relation == relation), None)


def passage(
    world: World, entity: Entity, told: Sequence[str], draw: random.Random, *,
    wording: Wording = "known", filler: float = 0.3, mistaken: float = 0.0,
) -> Passage:  # fmt: skip
    """A passage that states some facts of an entity, in any order.

    Args:
        world: where the entity lives.
        entity: whom it is about.
        told: names of the relations that are stated.
        draw: where chance comes from.
        wording: known wordings, or those that are kept out of training.
        filler: chance that a sentence about nothing is among them.
        mistaken: chance that a false value of a fact is mentioned, and called false.
    """
    known = world.facts[entity.name]
    lines = [Sentence(said(known[name], draw, wording), known[name]) for name in told]
    if draw.random() < filler:
        lines.append(Sentence(fill(pick(draw.choice(words()["filler"]), draw), entity.name, "")))
    if told and draw.random() < mistaken:
        lines.append(Sentence(denied(known[draw.choice(told)], world, draw)))
    draw.shuffle(lines)
    return Passage(entity, tuple(lines))


def said(fact: Fact, draw: random.Random, wording: Wording = "known") -> str:
    """A fact in words."""
    return state(relations()[fact.relation], fact.subject.name, fact.value, draw, wording)


def denied(fact: Fact, world: World, draw: random.Random) -> str:
    """A sentence that mentions another value of the fact, and says that it is not so."""
    relation = relations()[fact.relation]
    values = (value_of(fact.relation, relation.value, fact.subject, world.by_kind, draw) for _ in range(1000))
    return mistake(relation, fact.subject.name, next(value for value in values if value != fact.value), draw)
