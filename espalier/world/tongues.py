"""The languages of the world: how a fact is said, denied and surrounded in each."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from espalier.world import korean, passages
from espalier.world.facts import Entity, Fact, World
from espalier.world.wordings import Wording, fill, pick, words

Language = Literal["en", "ko"]


@dataclass(frozen=True)
class Style:
    """What stands before and after the facts, and whether these are a list of points."""

    name: str
    before: str = ""
    after: str = ""
    points: bool = False


@dataclass(frozen=True)
class Tongue:
    """How documents are told in a language."""

    said: Callable[[Fact, random.Random, Wording], str]
    denied: Callable[[Fact, World, random.Random], str]
    filler: Callable[[Entity, random.Random], str]
    name: Callable[[Entity], str]
    fill: Callable[[str, Entity], str]
    styles: tuple[Style, ...]


TONGUES: Mapping[Language, Tongue] = {
    "en": Tongue(
        passages.said,
        passages.denied,
        lambda entity, draw: fill(pick(draw.choice(words()["filler"]), draw), entity.name, ""),
        lambda entity: entity.name,
        lambda frame, entity: fill(frame, entity.name, ""),
        (
            Style("article"),
            Style("notes", "[Notes about|What I know about] {s}:", points=True),
            Style(
                "letter",
                "Dear [friend|cousin|colleague], you asked me about {s}. Here is what I could find.",
                "[With best wishes|Yours], your old [neighbor|friend]",
            ),
            Style(
                "column",
                "[Readers often ask us|Many letters reach us with questions] about {s}.",
                "[More next week.|Write to us if you know more.]",
            ),
        ),
    ),
    "ko": Tongue(
        korean.sentence,
        korean.denied,
        korean.filler,
        korean.name,
        lambda frame, entity: korean.fill(frame, korean.mention(entity), ""),
        (
            Style("article"),
            Style("notes", "{s}에 대한 [메모|기록]:", points=True),
            Style(
                "letter",
                "[벗|사촌|동료]에게. {s}에 대해 물었기에 알아낸 것을 적는다.",
                "[늘 건강하기를 바란다.|다음에 또 쓰겠다.]",
            ),
            Style(
                "column",
                "[독자들이 {s}에 대해 자주 묻는다.|{s}에 대해 묻는 편지가 많이 온다.]",
                "[다음 주에 이어진다.|더 아는 것이 있는 독자의 편지를 기다린다.]",
            ),
        ),
    ),
}
