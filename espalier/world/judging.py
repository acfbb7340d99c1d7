"""Judging and asking: whether a passage answers a question, and a question that a passage answers."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from espalier import reading
from espalier.contracts import Row
from espalier.world.facts import Entity, World
from espalier.world.passages import Passage
from espalier.world.questions import Mixture, some, written
from espalier.world.wordings import Wording, ask, relations

PASSAGE = "Passage:"
RELEVANT = "Does the passage answer the question? yes or no"
INVENT = "Write a question that only this passage answers."
COMPOSE = "Write a sentence that answers the question."
HARD = 0.9  # of the questions that a passage does not answer, the share that come close
MET = 10  # others to choose from: more than a passage mentions


def relevance_prompt(query: str, document: str) -> str:
    """What a judge of relevance reads; it says "yes" or "no"."""
    return f"{PASSAGE} {' '.join(document.split())}\n{reading.QUESTION} {' '.join(query.split())}\n{RELEVANT}"


def query_prompt(document: str) -> str:
    """What a writer of questions reads."""
    return f"{PASSAGE} {' '.join(document.split())}\n{INVENT}"


def document_prompt(query: str) -> str:
    """What a writer of passages reads; what it writes need not be true."""
    return f"{reading.QUESTION} {' '.join(query.split())}\n{COMPOSE}"


def relevance_rows(
    world: World, count: int, draw: random.Random, *, facts: tuple[int, int] = (1, 3), wording: Wording = "known"
) -> Iterator[Row]:
    """Passages with questions, half of which they answer: `prompt`, `completion` (yes or no), `query`, `document`.

    `negative` says how a question fails: "relation" asks something else about the same entity, "entity" asks the same
    about somebody else, "both" has nothing to do with the passage, "" is answered.

    Args:
        world: where the entities live.
        count: how many rows.
        draw: where chance comes from.
        facts: fewest and most that a passage states.
        wording: known wordings, or those kept out of training.
    """
    for _ in range(count):
        part = a_passage(world, draw, facts, wording)
        query, negative = answered(part, draw, wording), ""
        if draw.random() < 0.5:
            query, negative = unanswered(world, part, draw, wording)
        yield Row(
            prompt=relevance_prompt(query, part.text),
            completion="no" if negative else "yes",
            kind="relevance",
            query=query,
            document=part.text,
            negative=negative,
        )


def query_rows(
    world: World, count: int, draw: random.Random, *, facts: tuple[int, int] = (1, 3), wording: Wording = "known"
) -> Iterator[Row]:
    """Passages, and for each a question about one of its facts: `prompt`, `completion`, `document`."""
    for _ in range(count):
        part = a_passage(world, draw, facts, wording)
        query = answered(part, draw, wording)
        yield Row(prompt=query_prompt(part.text), completion=query, kind="query", document=part.text)


def document_rows(world: World, count: int, draw: random.Random, *, wording: Wording = "known") -> Iterator[Row]:
    """Questions, and for each a sentence that would answer it: `prompt`, `completion`, `query`."""
    for _ in range(count):
        part = a_passage(world, draw, (1, 1), wording)
        query = answered(part, draw, wording)
        sentence = next(sentence.text for sentence in part.sentences if sentence.fact is not None)
        yield Row(prompt=document_prompt(query), completion=sentence, kind="document", query=query)


def a_passage(world: World, draw: random.Random, facts: tuple[int, int], wording: Wording) -> Passage:
    """A passage about anybody or anything."""
    mixture = Mixture(facts=facts, wording=wording)
    entity = draw.choice(world.by_kind[draw.choice(tuple(world.by_kind))])
    return written(world, entity, some(entity.kind, mixture, draw), draw, mixture)


def answered(part: Passage, draw: random.Random, wording: Wording) -> str:
    """A question about a fact of the passage."""
    return ask(relations()[draw.choice(told(part))], part.entity.name, draw, wording)


def unanswered(world: World, part: Passage, draw: random.Random, wording: Wording) -> tuple[str, str]:
    """A question that the passage does not answer, and in what it differs from one that it does."""
    negative = draw.choice(("relation", "entity")) if draw.random() < HARD else "both"
    others = [relation for relation in asked_of(part.entity.kind) if relation not in told(part)]
    if negative == "relation" and others:
        return ask(relations()[draw.choice(others)], part.entity.name, draw, wording), negative
    if negative != "both" and (other := absent(part, kindred(world, part.entity, draw))):
        return ask(relations()[draw.choice(told(part))], other.name, draw, wording), "entity"
    other = absent(part, draw.sample(world.entities, MET))
    assert other is not None
    return ask(relations()[draw.choice(asked_of(other.kind))], other.name, draw, wording), "both"


def kindred(world: World, entity: Entity, draw: random.Random) -> list[Entity]:
    """Others of the same kind: first those of the same surname, if there are any, then some by chance."""
    pool = world.by_kind[entity.kind]
    family = world.families[entity.name.split(" ")[-1]] if entity.kind == "person" else ()
    return [*draw.sample(family, len(family)), *draw.sample(pool, min(len(pool), MET))]


def absent(part: Passage, found: Sequence[Entity]) -> Entity | None:
    """The first of these that the passage does not mention."""
    text = part.text.casefold()
    return next((entity for entity in found if entity.name.casefold() not in text), None)


def told(part: Passage) -> list[str]:
    """The relations that a passage states."""
    return [sentence.fact.relation for sentence in part.sentences if sentence.fact is not None]


def asked_of(kind: str) -> list[str]:
    """The relations that a kind of entity has."""
    return [relation.name for relation in relations().values() if relation.subject == kind]
