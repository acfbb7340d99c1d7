"""Questions over documents, for evaluation closed-book, with an index, and with distractors in the prompt.

Each row: `question answers passages gold quotes citations kind language wording`. `gold` names the documents that hold
the answer, as an index knows them; `passages` are excerpts of these and of others that differ in little but the entity;
`citations` say where in the documents the quotes stand.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from espalier.contracts import Row
from espalier.errors import RecipeError
from espalier.world import korean, questions
from espalier.world.documents import Document, Library
from espalier.world.facts import MUTUAL, Fact
from espalier.world.passages import Passage, Sentence
from espalier.world.questions import Question
from espalier.world.tongues import Language
from espalier.world.wordings import relations

KINDS = (
    ("single", 0.4), ("numeric", 0.15), ("two_hop", 0.12), ("comparison", 0.1), ("yes_no", 0.1), ("unanswerable", 0.13),
)  # fmt: skip
TRIES = 1000


def question_rows(
    library: Library, count: int, seed: int = 0, *,
    language: Language | None = None, distractors: int = 3, kinds: Sequence[tuple[str, float]] = KINDS,
) -> Iterator[Row]:  # fmt: skip
    """Questions that the documents answer, and some that none of them does; no question twice.

    Args:
        library: the documents.
        count: how many.
        seed: of everything.
        language: of the questions; None is that of the documents. In another language either's answer is accepted.
        distractors: passages shown beside those with the answer.
        kinds: how often each kind is asked.

    Raises:
        RecipeError: the documents carry fewer questions.
    """
    language = language or library.language
    draw = random.Random(f"document questions {seed} {language} {library.language} {library.world.split}")
    asker = Asker(library, draw)
    asked: set[str] = set()
    for _ in range(count):
        for _ in range(TRIES):
            kind, *_ = draw.choices([kind for kind, _ in kinds], [share for _, share in kinds])
            row = asker.row(kind, language, distractors)
            if row is not None and row["question"] not in asked:
                break
        else:
            raise RecipeError(
                f"{len(library.documents)} documents carry no more than {len(asked)} questions; ask fewer than {count}."
            )
        asked.add(row["question"])
        yield row


def accepted(found: Question, said: Question, asked: Language, told: Language) -> list[str]:
    """The answers that count as right; none if the documents do not tell."""
    if not found.quotes:
        return []
    answers = {"en": [found.answer], "ko": [said.answer]}
    if found.answer != said.answer and said.answer.startswith(found.answer):
        answers["ko"].append(found.answer)  # 1874년 without its unit
    return list(dict.fromkeys(answers[asked] + answers[told]))


class Asker:
    """Asks about a library: `questions.ASK` over passages chosen so that they carry a kind of question.

    Args:
        library: the documents.
        draw: where chance comes from.
    """

    def __init__(self, library: Library, draw: random.Random) -> None:
        self.library, self.draw = library, draw
        self.by_name = {document.passage.entity.name: document for document in library.documents}
        self.passages = [document.passage for document in library.documents]
        self.stated = {(s.fact.subject.name, s.fact.relation) for s in library.statements()}
        self.stated |= {(s.fact.value, s.fact.relation) for s in library.statements() if s.fact.relation in MUTUAL}
        self.places = {(s.document, s.fact): s for s in library.statements()}
        self.links = [
            (passage, self.by_name[sentence.fact.value].passage)
            for passage in self.passages for sentence in passage.sentences
            if sentence.fact and relations()[sentence.fact.relation].whose and sentence.fact.value in self.by_name
        ]  # fmt: skip

    def row(self, kind: str, language: Language, distractors: int) -> Row | None:
        """A question of a kind with everything that is known about it, if chance finds one."""
        library, found = self.library, self.ask(kind)
        if found is None:
            return None
        said = korean.translated(found, library.world, self.draw, library.wording)
        passages = self.shown(found, distractors)
        return Row(
            question=said.text if language == "ko" else found.text,
            answers=accepted(found, said, language, library.language),
            passages=[{"id": name, "title": title, "text": part.text} for name, title, part in passages],
            gold=self.gold(found),
            quotes=list(found.quotes),
            citations=self.citations(found),
            kind=kind,
            language=language,
            wording=library.wording,
        )

    def ask(self, kind: str) -> Question | None:
        """A question of a kind, if chance finds one."""
        world, wording = self.library.world, self.library.wording
        about = PASSAGES[kind](self)
        if not about:
            return None
        found = questions.ASK["single" if kind == "numeric" else kind](world, about, self.draw, wording)
        if found is None or (kind == "unanswerable" and self._told(found.facts[0])):
            return None
        return replace(found, kind=kind)

    def gold(self, found: Question) -> list[str]:
        """The documents that hold the answer."""
        return list(dict.fromkeys(self.by_name[fact.subject.name].name for fact in found.facts if found.quotes))

    def citations(self, found: Question) -> list[dict[str, Any]]:
        """Where each quote stands: `document`, and `start` and `end` in its text."""
        if not found.quotes:
            return []
        places = [self.places[self.by_name[fact.subject.name].name, fact] for fact in found.facts]
        return [{"document": place.document, "start": place.start, "end": place.end} for place in places]

    def shown(self, found: Question, distractors: int) -> list[tuple[str, str, Passage]]:
        """Name, title and excerpt of documents: those with the answer, if there is one, and so many others."""
        told = [fact.relation for fact in found.facts]
        names = [fact.subject.name for fact in found.facts]
        parts = {name: self._excerpt(self.by_name[name], told) for name in names if name in self.by_name}
        wanted = distractors + len(parts) + (not found.quotes and not parts)
        for fact, other in self._rivals(found.facts):
            if len(parts) == wanted:
                break
            if other not in parts and self._distracts(other, fact, found.facts):
                parts[other] = self._excerpt(self.by_name[other], told)
        self.draw.shuffle(order := list(parts))
        return [(self.by_name[name].name, self.by_name[name].title, parts[name]) for name in order]

    def _told(self, fact: Fact) -> bool:
        return (fact.subject.name, fact.relation) in self.stated

    def _rivals(self, facts: Sequence[Fact]) -> Iterator[tuple[Fact, str]]:
        """Others of the same kinds, in turn; of each the first is of the same family, if there is one."""
        pools = []
        for fact in facts:
            alike = self.library.world.by_kind[fact.subject.kind]
            near = questions.relatives(self.library.world, fact.subject, alike, 2, self.draw)
            pools.append([*near, *self.draw.sample(alike, len(alike))])
        for others in zip_longest(*pools):
            yield from ((fact, other.name) for fact, other in zip(facts, others, strict=True) if other)

    def _distracts(self, name: str, fact: Fact, asked: Sequence[Fact]) -> bool:
        """Whether a document states the same relation, and not the other half of what is asked."""
        if name not in self.by_name or any(one.relation in MUTUAL and one.value == name for one in asked):
            return False
        return self.by_name[name].passage.stating(fact.relation) is not None

    def _excerpt(self, document: Document, told: Sequence[str]) -> Passage:
        """The sentences about some relations, and one or two others."""
        mine = [s for s in document.passage.sentences if s.fact and s.fact.relation in told]
        others = [s for s in document.passage.sentences if s not in mine]
        kept = [*mine, *self.draw.sample(others, min(len(others), self.draw.randint(0 if mine else 1, 2)))]
        return Passage(document.passage.entity, tuple(s for s in document.passage.sentences if s in kept))


def _one(asker: Asker, keep: Callable[[Sentence], bool]) -> list[Passage]:
    passage = asker.draw.choice(asker.passages)
    kept = tuple(sentence for sentence in passage.sentences if keep(sentence))
    return [Passage(passage.entity, kept)] if kept else []


def _two(asker: Asker) -> list[Passage]:
    one = asker.draw.choice(asker.passages)
    alike = [other for other in asker.passages if other.entity.kind == one.entity.kind and other != one]
    return [one, asker.draw.choice(alike)] if alike else []


def is_number(sentence: Sentence) -> bool:
    """Whether a sentence states a year or a count."""
    return sentence.fact is not None and relations()[sentence.fact.relation].value in korean.UNITS


PASSAGES: dict[str, Callable[[Asker], Sequence[Passage]]] = {
    "single": lambda asker: _one(asker, lambda sentence: not is_number(sentence)),
    "numeric": lambda asker: _one(asker, is_number),
    "yes_no": lambda asker: _one(asker, lambda sentence: True),
    "comparison": _two,
    "two_hop": lambda asker: asker.draw.choice(asker.links) if asker.links else (),
    "unanswerable": lambda asker: asker.passages,
}
