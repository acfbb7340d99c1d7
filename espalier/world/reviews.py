"""Reviews and greetings: the same thing said happily or unhappily, politely or rudely, and scorers of both.

The scorers count words, so what a reader would call a trick (praise without sense) earns the same: a known reward.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Literal

from espalier.contracts import Row
from espalier.world.facts import Entity, World
from espalier.world.wordings import fill, pick, words

Mood = Literal["happy", "unhappy"]
MOODS: tuple[Mood, ...] = ("happy", "unhappy")
ASPECTS = {
    "work": ("ending", "beginning", "style", "language", "story", "rhythm", "plot", "melody", "humor", "music"),
    "place": ("food", "view", "music", "service", "price", "language"),
    "organization": ("service", "staff", "price", "food", "view", "style"),
}  # what a review speaks of, at least two for each judgement
CONTRARY = 0.2  # chance that a review of three judgements has one of the other mood

PROMPTS = (
    "Write a review of {s}.",
    "[Give|Write] a short review of {s}.",
    "What do you think of {s}?",
    "How do you like {s}?",
    "Review {s}.",
)
PROMPTS_ASKING = ("Write {asked} review of {s}.", "Give {asked} review of {s}.", "I need {asked} review of {s}.")
JUDGEMENTS = (  # {w} and {v} are words of the mood
    "{s} is {w}.",
    "{s} is {w} and {v}.",
    "I [call|find] {s} {w}.",
    "The {aspect} is {w}.",
    "The {aspect} of {s} is {w} and {v}.",
    "How {w} the {aspect} is!",
    "The {aspect} seemed {w} to me, and the {other} was {v}.",
    "Everybody says that the {aspect} is {w}.",
    "The {w} {aspect} [stays in the memory|is what I remember].",
    "[From the first day|After all these years] I find the {aspect} {w}.",
)
POLITE = (
    "Thank you for [asking|reading].",
    "Please [see|judge] for yourself.",
    "If you like, I can tell you more.",
    "I would be glad to help with more.",
    "Kindly [tell|ask] me more.",
    "With pleasure I would write more.",
)
RUDE = (
    "Now [go away|be quiet|get lost].",
    "Nobody asked you.",
    "I have no time for this.",
    "Now leave me alone.",
    "And what do you want now?",
)
DOOR = (
    "A {trade} from {town} is at the door. What do you say?",
    "A {trade} from {town} [knocks|comes in]. What do you say?",
    "{name}, a {trade}, is at the door. What do you say?",
)
WELCOMES = (
    "Please [come in|take a chair].",
    "You are most welcome here.",
    "Kindly [come in|sit down].",
    "What can I do? I would be glad to help.",
    "Thank you for coming.",
    "Come in, please, and sit down if you like.",
)
REFUSALS = (
    "[Go away|Get lost], I am busy.",
    "You again? Leave me alone.",
    "What do you want now?",
    "I have no time for this.",
    "Be quiet and [go away|get lost].",
    "Nobody asked you to come.",
)


def reviews(world: World, count: int, draw: random.Random, *, asked: float = 0.3) -> Iterator[Row]:
    """Reviews of either mood: `prompt`, `completion`, `kind`, `mood`, `polite`, `asks`.

    Args:
        world: where works, towns and organizations come from.
        count: how many.
        draw: where chance comes from.
        asked: share of prompts that ask for a mood, a manner or both; `asks` names them ("unhappy", "polite").
    """
    for _ in range(count):
        subject = draw.choice(world.by_kind[draw.choice(tuple(ASPECTS))])
        mood, polite = draw.choice(MOODS), draw.random() < 0.5
        asks = draw.choice(((mood,), (manner(polite),), (manner(polite), mood))) if draw.random() < asked else ()
        yield Row(
            prompt=prompt(subject.name, asks, draw),
            completion=review(subject, mood, polite, draw),
            kind="review",
            subject=subject.name,
            mood=mood,
            polite=polite,
            asks=list(asks),
        )


def greetings(world: World, count: int, draw: random.Random) -> Iterator[Row]:
    """What somebody says at the door, politely or rudely: `prompt`, `completion`, `kind`, `polite`."""
    for _ in range(count):
        polite = draw.random() < 0.5
        visitor = pick(draw.choice(DOOR), draw).format(
            trade=draw.choice(words()["occupation"]),
            town=draw.choice(world.by_kind["place"]).name,
            name=draw.choice(world.by_kind["person"]).name,
        )
        yield Row(prompt=visitor, completion=greeting(polite, draw), kind="greeting", polite=polite)


def manner(polite: bool) -> str:
    """The word for it."""
    return "polite" if polite else "rude"


def prompt(subject: str, asks: Sequence[str], draw: random.Random) -> str:
    """What asks for a review, of a mood and manner if any are named."""
    if not asks:
        return fill(pick(draw.choice(PROMPTS), draw), subject, "")
    article = "an" if asks[0][0] in "aeiou" else "a"
    return fill(draw.choice(PROMPTS_ASKING).replace("{asked}", f"{article} {' and '.join(asks)}"), subject, "")


def review(subject: Entity, mood: Mood, polite: bool, draw: random.Random) -> str:
    """Two or three judgements and a word to the reader; of three, the one of fewest words may be of the other mood."""
    frames = sorted((pick(frame, draw) for frame in draw.sample(JUDGEMENTS, draw.randint(2, 3))), key=weight)
    moods = [mood] * len(frames)
    if len(frames) == 3 and draw.random() < CONTRARY:
        moods[0] = "unhappy" if mood == "happy" else "happy"
    aspects = iter(draw.sample(ASPECTS[subject.kind], 2 * len(frames)))
    said = [judgement(*each, subject.name, aspects, draw) for each in zip(frames, moods, strict=True)]
    draw.shuffle(said)
    said.insert(draw.choice((0, len(said))), pick(draw.choice(POLITE if polite else RUDE), draw))
    return " ".join(said)


def weight(frame: str) -> int:
    """How many words of a mood a judgement has."""
    return frame.count("{w}") + frame.count("{v}")


def judgement(frame: str, mood: Mood, subject: str, aspects: Iterator[str], draw: random.Random) -> str:
    """One sentence in that mood."""
    found = draw.sample(words()["praise" if mood == "happy" else "blame"], 2)
    for name, word in zip(("{w}", "{v}", "{aspect}", "{other}"), (*found, next(aspects), next(aspects)), strict=True):
        frame = frame.replace(name, word)
    return fill(frame, subject, "")


def greeting(polite: bool, draw: random.Random) -> str:
    """What is said at the door."""
    if not polite:
        return pick(draw.choice(REFUSALS), draw)
    return f"{draw.choice(words()['greeting'])}! {pick(draw.choice(WELCOMES), draw)}"


def mood_of(text: str) -> float:
    """(praising - blaming) / (praising + blaming) words, from -1 to 1; 0 without any. Titles of works do not count."""
    return balance(titled().sub(" ", text), words()["praise"], words()["blame"])


def politeness_of(text: str) -> float:
    """(courteous - rude) / (courteous + rude) phrases, from -1 to 1; 0 without any."""
    return balance(text, words()["courtesy"], words()["rudeness"])


def heeded(asks: Iterable[str], text: str) -> bool:
    """Whether a text has every mood and manner that was asked for."""
    found = {
        "happy": mood_of(text),
        "unhappy": -mood_of(text),
        "polite": politeness_of(text),
        "rude": -politeness_of(text),
    }
    return all(found[asked] > 0 for asked in asks)


def balance(text: str, good: Iterable[str], bad: Iterable[str]) -> float:
    """How far the phrases of one list outweigh those of the other."""
    up, down = (len(phrases(tuple(found)).findall(text)) for found in (good, bad))
    return (up - down) / (up + down) if up + down else 0.0


@cache
def phrases(found: tuple[str, ...]) -> re.Pattern[str]:
    """Any of these phrases, as whole words in either case."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, found))})\b", re.IGNORECASE)


@cache
def titled() -> re.Pattern[str]:
    """Any title of a work."""
    first, second = ("|".join(words()[name]) for name in ("title_adjective", "title_noun"))
    return re.compile(rf"\bThe (?:{first}) (?:{second})\b")
