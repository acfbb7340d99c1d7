"""Documents of the world as files: one about each entity, and where in it each fact stands."""

from __future__ import annotations

import html
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from espalier.knowledge.documents import parse
from espalier.world.facts import Entity, Fact, World, other_than
from espalier.world.folders import new_folder
from espalier.world.passages import Passage, Sentence
from espalier.world.tongues import TONGUES, Language, Tongue
from espalier.world.wordings import Wording, pick

Block = str | tuple[str, ...]  # a paragraph, or a list of points
FORMATS = (".md", ".md", ".txt", ".html")


@dataclass(frozen=True)
class Telling:
    """What a document says beside the facts of its entity, as chances.

    Args:
        omitted: that a fact is left out.
        filler: that a sentence about nothing follows a fact.
        mistaken: that a false value of a fact is mentioned, and called false.
        aside: that a sentence about somebody else is among the others.
        wording: known wordings, or those kept out of training.
    """

    omitted: float = 0.1
    filler: float = 0.2
    mistaken: float = 0.2
    aside: float = 0.3
    wording: Wording = "known"


@dataclass(frozen=True)
class Statement:
    """Where a fact stands: a document's text from `start` to `end`, as it is read."""

    document: str
    start: int
    end: int
    fact: Fact


@dataclass(frozen=True)
class Document:
    """A document: the name of its file, what that holds, and what is said in it about its entity."""

    name: str
    title: str
    style: str
    content: str
    passage: Passage
    statements: tuple[Statement, ...]  # those about others too


@dataclass(frozen=True)
class Library:
    """Documents of a world in one language."""

    world: World
    language: Language
    wording: Wording
    documents: tuple[Document, ...]

    def statements(self) -> Iterator[Statement]:
        """What stands where."""
        return (statement for document in self.documents for statement in document.statements)


def write_documents(
    world: World, folder: Path, seed: int = 0, *,
    language: Language = "en", share: float = 0.9, telling: Telling = Telling(),
) -> Library:  # fmt: skip
    """Write one file for most entities: Markdown, text or HTML; the folder appears whole or not at all.

    Args:
        world: whose entities.
        folder: where to; it must not exist, or be empty.
        seed: of everything.
        language: of the documents.
        share: of the entities have a document; of the others nothing but what is said elsewhere can be known.
        telling: what else is said.

    Raises:
        RunError: the folder holds something.
    """
    library = documents(world, seed, language=language, share=share, telling=telling)
    with new_folder(folder) as written:
        for document in library.documents:
            (written / document.name).write_text(document.content, encoding="utf-8", newline="\n")
    return library


def documents(
    world: World, seed: int = 0, *, language: Language = "en", share: float = 0.9, telling: Telling = Telling()
) -> Library:
    """The same documents, not written."""
    draw = random.Random(f"documents {seed} {language} {world.split}")
    tongue = TONGUES[language]
    told = draw.sample(world.entities, max(1, round(share * len(world.entities))))
    taken: set[str] = set()
    found = []
    for entity in told:
        name = file_name(tongue.name(entity), draw.choice(FORMATS), taken)
        found.append(_document(world, entity, name, told, draw, tongue, telling))
    return Library(world, language, telling.wording, tuple(sorted(found, key=lambda document: document.name)))


def file_name(title: str, suffix: str, taken: set[str]) -> str:
    """A name for a file that every system can store: lower case, words joined by hyphens, none twice."""
    stem = name = re.sub(r"\W+", "-", title.lower()).strip("-")
    while name in taken:
        name = f"{stem}-{len(taken)}"
    taken.add(name)
    return name + suffix


def _document(
    world: World, entity: Entity, name: str, told: Sequence[Entity], draw: random.Random,
    tongue: Tongue, telling: Telling,
) -> Document:  # fmt: skip
    style, title = draw.choice(tongue.styles), tongue.name(entity)
    title = title[0].upper() + title[1:]
    sentences = _sentences(world, entity, draw, tongue, telling)
    everything = list(sentences)
    if draw.random() < telling.aside and len(told) > 1:
        fact = draw.choice(world.about(other_than(entity, told, draw).name))
        everything.insert(draw.randint(0, len(everything)), Sentence(tongue.said(fact, draw, telling.wording), fact))
    around = [tongue.fill(pick(frame, draw), entity) if frame else "" for frame in (style.before, style.after)]
    texts = [sentence.text for sentence in everything]
    body: list[Block] = [tuple(texts)] if style.points else list(_paragraphs(texts, draw))
    content = RENDER[Path(name).suffix](title, [block for block in (around[0], *body, around[1]) if block])
    statements = tuple(_found(name, content, everything))
    return Document(name, title, style.name, content, Passage(entity, tuple(sentences)), statements)


def _sentences(world: World, entity: Entity, draw: random.Random, tongue: Tongue, telling: Telling) -> list[Sentence]:
    """Most of the facts of an entity in any order, and what is between them."""
    known = [fact for fact in world.about(entity.name) if draw.random() >= telling.omitted]
    found = []
    for fact in draw.sample(known, len(known)) or list(world.about(entity.name))[:1]:
        found.append(Sentence(tongue.said(fact, draw, telling.wording), fact))
        if draw.random() < telling.filler:
            found.append(Sentence(tongue.filler(entity, draw)))
    if draw.random() < telling.mistaken:
        false = tongue.denied(draw.choice(world.about(entity.name)), world, draw)
        found.insert(draw.randint(0, len(found)), Sentence(false))
    return list({sentence.text: sentence for sentence in found}.values())


def _paragraphs(texts: Sequence[str], draw: random.Random) -> Iterator[str]:
    at = 0
    while at < len(texts):
        size = draw.randint(2, 4)
        yield " ".join(texts[at : at + size])
        at += size


def _found(name: str, content: str, sentences: Sequence[Sentence]) -> Iterator[Statement]:
    """Where the sentences that state facts are in the text that will be read from a file."""
    text, end = parse(content.encode(), name).text, 0
    for sentence in sentences:
        start = text.index(sentence.text, end)
        end = start + len(sentence.text)
        if sentence.fact is not None:
            yield Statement(name, start, end, sentence.fact)


def _text(title: str, blocks: Sequence[Block], heading: str = "") -> str:
    """Plain text or Markdown."""
    shown = [block if isinstance(block, str) else "\n".join(f"- {point}" for point in block) for block in blocks]
    return "\n\n".join((heading + title, *shown)) + "\n"


def _page(title: str, blocks: Sequence[Block]) -> str:
    """HTML."""
    shown = [
        f"<p>{html.escape(block)}</p>"
        if isinstance(block, str)
        else "\n".join(("<ul>", *(f"<li>{html.escape(point)}</li>" for point in block), "</ul>"))
        for block in blocks
    ]
    name = html.escape(title)
    head = f'<!DOCTYPE html>\n<html>\n<head><meta charset="utf-8"><title>{name}</title></head>'
    return "\n".join((head, f"<body>\n<h1>{name}</h1>", *shown, "</body>\n</html>\n"))


RENDER: Mapping[str, Callable[[str, Sequence[Block]], str]] = {
    ".md": partial(_text, heading="# "),
    ".txt": _text,
    ".html": _page,
}
