"""Lessons: the rows that sprout learns from, easy ones first."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

from espalier import reading
from espalier.contracts import Row
from espalier.errors import RecipeError, unknown
from espalier.knowledge.chunks import cut
from espalier.knowledge.documents import parse
from espalier.world import instructions, judging, reviews, sums
from espalier.world.document_questions import question_rows
from espalier.world.documents import Library, documents
from espalier.world.facts import World
from espalier.world.questions import Context, Mixture, context
from espalier.world.tongues import Language

BRIEF = "Answer from the passages in a few words. If no passage does, the answer is: not stated."
SHELF = 1500  # entities of the worlds that whole documents are about
Rows = Callable[[World, int, random.Random], Iterator[Row]]


@dataclass(frozen=True)
class Part:
    """A part of a lesson, and its share beside the others'."""

    share: float
    rows: Rows


def lesson(name: str, world: World, count: int, seed: int = 0) -> list[Row]:
    """The rows of a lesson, in any order.

    Args:
        name: first, second, third, ...
        world: whom they are about.
        count: how many.
        seed: of everything.

    Raises:
        RecipeError: no such lesson.
    """
    if name not in LESSONS:
        raise RecipeError(unknown("lesson", name, LESSONS))
    draw = random.Random(f"lesson {name} {seed}")
    whole = sum(part.share for part in LESSONS[name])
    sizes = [math.ceil(count * part.share / whole) for part in LESSONS[name]]
    rows = [row for part, size in zip(LESSONS[name], sizes, strict=True) for row in part.rows(world, size, draw)]
    draw.shuffle(rows)
    return rows[:count]


def conversation(made: Context, *, quoting: bool = True) -> Row:
    """Passages and a question, and further questions in turns of their own.

    Args:
        made: passages and questions.
        quoting: replies quote what they rest on. Without, what is asked for leads straight to what kind of word
            answers it; a small model finds the sentence only when it has learned that.
    """
    instruction = reading.INSTRUCTION if quoting else BRIEF
    messages = []
    for number, question in enumerate(made.questions):
        asked = reading.prompt(question.text, () if number else made.shown(), instruction=instruction)
        quotes = question.quotes if quoting else ()
        messages.append({"role": "user", "content": asked})
        messages.append({"role": "assistant", "content": reading.reply(question.answer, quotes, made.shown())})
    return Row(messages=messages, kind="reading" if quoting else "brief")


def readings(world: World, count: int, draw: random.Random, *, mixture: Mixture, quoting: bool = True) -> Iterator[Row]:
    """Conversations about passages."""
    made = 0
    while made < count:
        found = context(world, draw, mixture)
        if found.questions:
            made += 1
            yield conversation(found, quoting=quoting)


def shelves(world: World, count: int, draw: random.Random, *, language: Language = "en") -> Iterator[Row]:
    """Questions over pieces of the documents of a large world of the same split."""
    shelf = World.make(SHELF, split=world.split, seed=draw.randrange(1 << 30))
    yield from searched(documents(shelf, language=language), count, draw)


def searched(library: Library, count: int, draw: random.Random) -> Iterator[Row]:
    """Questions over pieces of whole documents, as a search shows them: headings, letters, asides and all.

    Args:
        library: the documents.
        count: how many questions.
        draw: where chance comes from.

    Raises:
        RecipeError: the documents carry fewer questions.
    """
    texts = {document.name: parse(document.content.encode(), document.name).text for document in library.documents}
    titles = {document.name: document.title for document in library.documents}
    pieces = {name: cut(text, title=titles[name]) for name, text in texts.items()}
    for row in question_rows(library, count, draw.randrange(1 << 30), distractors=draw.randint(1, 3)):
        shown = []
        for name in (passage["id"] for passage in row["passages"]):
            wanted = [place["start"] for place in row["citations"] if place["document"] == name]
            chunk = next((c for c in pieces[name] if wanted and c.start <= wanted[0] < c.end), pieces[name][0])
            shown.append((chunk.title, texts[name][chunk.start : chunk.end]))
        answer = row["answers"][0] if row["answers"] else reading.ABSTAINED
        reply = reading.reply(answer, row["quotes"], shown)
        kind = f"shelf {library.language}"
        yield spoken(Row(prompt=reading.prompt(row["question"], shown), completion=reply, kind=kind))


def closed(world: World, count: int, draw: random.Random) -> Iterator[Row]:
    """Questions without a passage: whoever has nothing to read does not know."""
    for row in readings(world, count, draw, mixture=replace(SHORT, questions=1)):
        question = row["messages"][0]["content"].rpartition(f"{reading.QUESTION} ")[2]
        messages = [
            {"role": "user", "content": reading.prompt(question, ())},
            {"role": "assistant", "content": reading.reply(reading.ABSTAINED)},
        ]
        yield Row(messages=messages, kind="closed")


def writings(world: World, count: int, draw: random.Random) -> Iterator[Row]:
    """Passages to write: all their words are learned, which a conversation about them does not do."""
    for _ in range(count):
        part = judging.a_passage(world, draw, (1, 3), "known")
        yield spoken(Row(prompt=f"Write about {part.entity.name}.", completion=part.text, kind="writing"))


def spoken(row: Row) -> Row:
    """A prompt and its completion as a conversation, so that all rows of a lesson have the same fields."""
    messages = [{"role": "user", "content": row["prompt"]}, {"role": "assistant", "content": row["completion"]}]
    return Row(messages=messages, kind=row["kind"])


def prompted(rows: Rows) -> Rows:
    """The rows of another generator, spoken."""

    def found(world: World, count: int, draw: random.Random) -> Iterator[Row]:
        return map(spoken, rows(world, count, draw))

    return found


def reads(share: float, mixture: Mixture, *, quoting: bool = True) -> Part:
    """A share of conversations about passages."""
    return Part(share, partial(readings, mixture=mixture, quoting=quoting))


def drilled(world: World, count: int, draw: random.Random) -> Iterator[Row]:
    """Equations; they are about nobody."""
    return sums.drills(count, draw)


def told(world: World, count: int, draw: random.Random) -> Iterator[Row]:
    """Instructions; they are about words, not about a world."""
    return instructions.rows(count, draw)


EASY = (("single", 0.8), ("yes_no", 0.06), ("unanswerable", 0.1), ("comparison", 0.04))
MIXED = (("single", 0.6), ("yes_no", 0.08), ("comparison", 0.06), ("two_hop", 0.1), ("unanswerable", 0.16))
SHORT = Mixture(passages=(1, 1), facts=(1, 2), kinds=EASY, mistaken=0)
PLAIN = replace(SHORT, wording="plain")
TAUGHT = sums.Difficulty(steps=(1, 4))  # longer ones are left for methods that sample, vote and reward
TINY = sums.Difficulty(digits=1, steps=(1, 2), times=0.0)
LESSONS: dict[str, tuple[Part, ...]] = {
    "first": (
        reads(0.5, SHORT),
        reads(0.3, replace(SHORT, passages=(2, 2), questions=4)),
        Part(0.2, writings),
    ),
    "second": (  # many facts in one passage: which of them answers; then many passages: which of them
        reads(0.42, Mixture(passages=(1, 1), facts=(3, 7), questions=10, kinds=MIXED), quoting=False),
        reads(0.14, Mixture(passages=(2, 4), hard=0.9, questions=8, kinds=MIXED), quoting=False),
        reads(0.16, Mixture(passages=(1, 1), facts=(2, 6), questions=6, kinds=MIXED)),
        reads(0.10, Mixture(passages=(2, 4), hard=0.9, questions=8, kinds=MIXED)),
        Part(0.02, closed),
        Part(0.08, prompted(partial(sums.rows, difficulty=TAUGHT))),
        Part(0.03, prompted(judging.relevance_rows)),
        Part(0.02, prompted(judging.query_rows)),
        Part(0.01, prompted(reviews.reviews)),
        Part(0.01, prompted(reviews.greetings)),
        Part(0.01, prompted(told)),
    ),
    "third": (  # short rows are many: few of their words are learned
        reads(0.08, Mixture(passages=(1, 1), facts=(3, 7), questions=10, kinds=MIXED), quoting=False),
        reads(0.10, Mixture(passages=(2, 4), hard=0.9, questions=8, kinds=MIXED), quoting=False),
        reads(0.10, Mixture(passages=(1, 2), facts=(1, 5), questions=6, kinds=MIXED)),
        reads(0.16, Mixture(passages=(3, 4), hard=0.9, questions=8, kinds=MIXED)),
        reads(0.06, Mixture(passages=(5, 8), hard=0.9, questions=10, kinds=MIXED)),
        Part(0.06, shelves),
        Part(0.02, closed),
        Part(0.01, writings),
        Part(0.26, prompted(partial(sums.rows, difficulty=TAUGHT))),
        Part(0.14, prompted(drilled)),
        Part(0.32, prompted(judging.relevance_rows)),
        Part(0.24, prompted(judging.query_rows)),
        Part(0.01, prompted(judging.document_rows)),
        Part(0.08, prompted(reviews.reviews)),
        Part(0.03, prompted(reviews.greetings)),
        Part(0.03, prompted(told)),
    ),
    "seedling": (
        reads(0.30, PLAIN, quoting=False),
        reads(0.25, PLAIN),
        Part(0.05, writings),
        Part(0.14, prompted(partial(sums.rows, difficulty=TINY, wording="plain"))),
        Part(0.13, prompted(reviews.greetings)),
        Part(0.13, prompted(reviews.reviews)),
    ),
}
