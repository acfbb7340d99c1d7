"""The world in Korean: names in Hangul, words by a dictionary, facts in wordings of its own, and questions.

Statements are in the plain written style (-다), questions in its interrogative (-ㄴ가); years and counts carry their
unit (1874년, 320명), and works stand in 『』.
"""

from __future__ import annotations

import random
import tomllib
from dataclasses import replace
from functools import cache
from typing import Any

from espalier.world import wordings
from espalier.world.facts import Entity, Fact, World, value_of
from espalier.world.names import in_hangul
from espalier.world.particles import resolve
from espalier.world.questions import Question
from espalier.world.wordings import HERE, Relation, Wording, pick

UNITS = {"year": "년", "number": "명"}
YES, NO = "예", "아니요"
LISTS = ("occupation", "region", "product", "genre")  # words that are values; the others are parts of names
OPENED = 0.2  # share of the statements with something before them


@cache
def relations() -> dict[str, Relation]:
    """All relations by name, as they are said in Korean."""
    table: dict[str, dict[str, Any]] = tomllib.loads((HERE / "relations_ko.toml").read_text(encoding="utf-8"))
    found = {}
    for name, relation in wordings.relations().items():
        said: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in table[name].items()}
        found[name] = replace(relation, **said)
    return found


@cache
def words() -> dict[str, dict[str, str]]:
    """Korean by English, list by list."""
    table = tomllib.loads((HERE / "words_ko.toml").read_text(encoding="utf-8"))
    return {name: values for name, values in table.items() if name != "around"}


@cache
def around() -> dict[str, list[str]]:
    """What stands around a fact, by what it is."""
    found: dict[str, list[str]] = tomllib.loads((HERE / "words_ko.toml").read_text(encoding="utf-8"))["around"]
    return found


def name(entity: Entity) -> str:
    """An entity's name: The Silent Orchard 고요한 과수원, the Kabon Fair 카본 박람회."""
    if entity.kind in ("person", "place"):
        return in_hangul(entity.name)
    first, _, rest = entity.name.removeprefix("the ").removeprefix("The ").partition(" ")
    if entity.kind == "work":
        return f"{words()['title_adjective'][first]} {words()['title_noun'][rest]}"
    return f"{in_hangul(first)} {words()[entity.kind][rest]}"


def mention(entity: Entity) -> str:
    """The name as it stands in a sentence."""
    return f"『{name(entity)}』" if entity.kind == "work" else name(entity)


def value(fact: Fact) -> str:
    """The value of a fact, with its unit."""
    kind = relations()[fact.relation].value
    if kind in UNITS:
        return fact.value + UNITS[kind]
    return words()[kind][fact.value] if kind in LISTS else name(Entity(kind, fact.value))


def sentence(fact: Fact, draw: random.Random, wording: Wording = "known") -> str:
    """A statement of a fact."""
    frame = pick(draw.choice(relations()[fact.relation].statements(wording)), draw)
    opener = pick(draw.choice(around()["opener"]), draw) if draw.random() < OPENED else ""
    return fill(opener + frame, mention(fact.subject), value(fact))


def question(fact: Fact, draw: random.Random, wording: Wording = "known") -> str:
    """A question for the value of a fact."""
    return ask(fact, mention(fact.subject), draw, wording)


def ask(fact: Fact, subject: str, draw: random.Random, wording: Wording) -> str:
    """The same, of a subject that may be a noun phrase."""
    return fill(pick(draw.choice(relations()[fact.relation].questions(wording)), draw), subject, "")


def fill(frame: str, subject: str, value: str) -> str:
    """Names put in their places, with the particles that follow from them."""
    return resolve(frame.replace("{s}", subject).replace("{o}", value))


def denied(fact: Fact, world: World, draw: random.Random) -> str:
    """A sentence that mentions another value of the fact, and says that it is not so."""
    frame = pick(draw.choice(relations()[fact.relation].said), draw).removesuffix(".")
    said = frame.removesuffix("이다") + "(이)라" if frame.endswith("이다") else frame  # 도시라고, but 태어났다고
    mistaken = pick(draw.choice(around()["mistaken"]), draw)
    return fill(mistaken.replace("{said}", said), mention(fact.subject), value(other_value(fact, world, draw)))


def filler(entity: Entity, draw: random.Random) -> str:
    """A sentence about nothing."""
    return fill(pick(draw.choice(around()["filler"]), draw), mention(entity), "")


def other_value(fact: Fact, world: World, draw: random.Random) -> Fact:
    """The same fact with a value that is false."""
    kind = relations()[fact.relation].value
    values = (value_of(fact.relation, kind, fact.subject, world.by_kind, draw) for _ in range(1000))
    return replace(fact, value=next(value for value in values if value != fact.value))


def translated(asked: Question, world: World, draw: random.Random, wording: Wording = "known") -> Question:
    """A question in Korean; its quotes are still those of the passages it was asked about.

    Args:
        asked: the question in English.
        world: where its facts are true; a "no" needs a false value.
        draw: where chance comes from.
        wording: known wordings, or those kept out of training.
    """
    fact = asked.facts[0]
    relation, subject = relations()[fact.relation], mention(fact.subject)
    if asked.kind == "yes_no":
        claim = fact if asked.answer == "yes" else other_value(fact, world, draw)
        answer = YES if asked.answer == "yes" else NO
        return replace(asked, text=fill(relation.yes, subject, value(claim)), answer=answer)
    if asked.kind == "comparison":
        return _comparison(asked, relation)
    if asked.kind == "two_hop":
        end = asked.facts[1]
        text = ask(end, fill(relation.whose, subject, ""), draw, wording)
        return replace(asked, text=text, answer=value(end))
    answer = value(fact) if asked.quotes else asked.answer
    return replace(asked, text=question(fact, draw, wording), answer=answer)


def _comparison(asked: Question, relation: Relation) -> Question:
    """Which of two; they keep their order."""
    numbers = {fact.subject.name: int(fact.value.replace(",", "")) for fact in asked.facts}
    first, second = sorted((fact.subject for fact in asked.facts), key=lambda entity: asked.text.index(entity.name))
    later = numbers[asked.answer] == max(numbers.values())
    frame = relation.later if later else relation.earlier
    text = resolve(frame.replace("{a}", mention(first)).replace("{b}", mention(second)))
    return replace(asked, text=text, answer=name(first if first.name == asked.answer else second))


def dictionary(world: World) -> dict[str, str]:
    """Korean by English for every name of a world and every word; no two share a translation."""
    return {entity.name: name(entity) for entity in world.entities} | {
        english: korean for values in words().values() for english, korean in values.items()
    }
