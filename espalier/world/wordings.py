"""What can be true and how it is said: relations.toml and words.toml, read and composed."""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Literal

Wording = Literal["known", "plain", "unseen"]  # of the known ones the first few are plain; unseen ones are new
HERE = Path(__file__).parent
PLAIN = 4  # how many frames
VOWELS = tuple("aeiou")
_CHOICE = re.compile(r"\[([^\]]*)\]")


@dataclass(frozen=True)
class Relation:
    """One kind of fact: whose it is, what its value is, and all the ways to state it and to ask for it."""

    name: str
    subject: str
    value: str  # person, place, organization, region, ..., year or number
    said: tuple[str, ...]
    unseen: tuple[str, ...]
    asked: tuple[str, ...]
    asked_unseen: tuple[str, ...]
    yes: str
    whose: str = ""
    later: str = ""
    earlier: str = ""

    def statements(self, wording: Wording) -> tuple[str, ...]:
        """Frames of sentences."""
        return worded(self.said, self.unseen, wording)

    def questions(self, wording: Wording) -> tuple[str, ...]:
        """Frames of questions."""
        return worded(self.asked, self.asked_unseen, wording)


def worded(known: tuple[str, ...], unseen: tuple[str, ...], wording: Wording) -> tuple[str, ...]:
    """The frames of a wording."""
    return unseen if wording == "unseen" else known[:PLAIN] if wording == "plain" else known


@cache
def relations() -> dict[str, Relation]:
    """All relations by name."""
    table: dict[str, dict[str, Any]] = tomllib.loads((HERE / "relations.toml").read_text(encoding="utf-8"))
    found = {}
    for name, fields in table.items():
        fixed: dict[str, Any] = {key: tuple(v) if isinstance(v, list) else v for key, v in fields.items()}
        found[name] = Relation(name, **fixed)
    return found


@cache
def words() -> dict[str, tuple[str, ...]]:
    """Lists of ordinary words by name."""
    table: dict[str, Any] = tomllib.loads((HERE / "words.toml").read_text(encoding="utf-8"))
    return {name: tuple(values) for name, values in table.items()}


def expansions(frame: str) -> list[str]:
    """Every text that a frame with choices stands for, in order."""
    parts = _CHOICE.split(frame)
    choices = [part.split("|") if index % 2 else [part] for index, part in enumerate(parts)]
    return ["".join(pieces) for pieces in product(*choices)]


def pick(frame: str, draw: random.Random) -> str:
    """One of them."""
    return _CHOICE.sub(lambda found: draw.choice(found[1].split("|")), frame)


def state(relation: Relation, subject: str, value: str, draw: random.Random, wording: Wording = "known") -> str:
    """A sentence that states a fact; one in four has something around it, but for plain ones."""
    sentence = pick(draw.choice(relation.statements(wording)), draw)
    chance = 1.0 if wording == "plain" else draw.random()
    if chance < 0.15:
        sentence = after(pick(draw.choice(words()["opener"]), draw), sentence)
    elif chance < 0.25:
        sentence = sentence.removesuffix(".") + pick(draw.choice(words()["closer"]), draw)
    return fill(sentence, subject, value)


def mistake(relation: Relation, subject: str, value: str, draw: random.Random) -> str:
    """A sentence that says something false, and that it is false."""
    sentence = pick(draw.choice(relation.said), draw)
    return fill(after(pick(draw.choice(words()["mistaken"]), draw), sentence), subject, value)


def ask(relation: Relation, subject: str, draw: random.Random, wording: Wording = "known") -> str:
    """A question for the value of a fact; the subject may be a noun phrase."""
    return fill(pick(draw.choice(relation.questions(wording)), draw), subject, "")


def after(opening: str, sentence: str) -> str:
    """A sentence behind an opening: its first letter is small unless a name begins it."""
    return opening + (sentence if sentence.startswith("{") else sentence[0].lower() + sentence[1:])


def fill(text: str, subject: str, value: str) -> str:
    """Names put in their places; the first letter is a capital."""
    if value[:1] in VOWELS:
        text = text.replace("a {o}", "an {o}").replace("A {o}", "An {o}")
    full = text.replace("{s}", subject).replace("{o}", value)
    return full[0].upper() + full[1:]
