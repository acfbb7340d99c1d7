"""The questions of `python -m benchmarks.solving`, and the passages in which the answers stand."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from espalier.contracts import LM, Hit, Retriever
from espalier.evaluation.searching import Question, Wanted
from espalier.retrievers.bm25 import BM25
from espalier.world import beir, questions
from espalier.world.facts import MUTUAL, Fact, World, value_of
from espalier.world.passages import Passage, said
from espalier.world.questions import Mixture, relatives, some, written
from espalier.world.wordings import mistake, relations

SINGLE, TWO_HOP, SCATTERED = "single-hop", "two-hop", "scattered"
CALLED_FALSE, AS_IF_TRUE = "called false", "as if true"
BOTH, AGAINST = (SINGLE, TWO_HOP), (CALLED_FALSE, AS_IF_TRUE)
WRONG = "contradicting"  # the passage that says another value
K = 4  # passages that are read, unless a way says otherwise
TRIES = 50  # for each question


@dataclass(frozen=True)
class Setting:
    """The world, who answers, and how many questions of each kind."""

    world: World
    lm: LM
    n: int
    seed: int = 0

    @cached_property
    def passages(self) -> dict[str, Passage]:
        """A passage about everybody and everything, with one to three facts, by the name."""
        draw, mixture = random.Random(f"passages {self.seed}"), Mixture(mistaken=0.0)
        entities = self.world.entities
        return {e.name: written(self.world, e, some(e.kind, mixture, draw), draw, mixture) for e in entities}

    @cached_property
    def documents(self) -> dict[str, Hit]:
        """The same as a retriever finds them."""
        return {name: Hit(name, 0.0, part.text, part.title) for name, part in self.passages.items()}

    @cached_property
    def bm25(self) -> Retriever:
        """Their index."""
        return BM25().index(list(self.documents.values()))

    @cached_property
    def scattered(self) -> beir.Search:
        """Several passages about everybody and everything, all under one title, and questions for single facts."""
        return beir.search(self.world, self.n, self.seed)

    @cached_property
    def scattered_bm25(self) -> Retriever:
        """The index of those."""
        found = self.scattered
        return BM25().index([Hit(name, 0.0, part.text, found.title(name)) for name, part in found.passages.items()])

    def index(self, kind: str) -> Retriever:
        """What questions of a kind are searched in."""
        return self.scattered_bm25 if kind == SCATTERED else self.bm25

    @cached_property
    def made(self) -> dict[str, list[questions.Question]]:
        """As many questions of one and of two steps, none twice."""
        parts = list(self.passages.values())
        links = [
            (part, self.passages[sentence.fact.value])
            for part in parts for sentence in part.sentences
            if sentence.fact and relations()[sentence.fact.relation].whose
        ]  # fmt: skip
        ways: dict[str, Callable[[random.Random], questions.Question | None]] = {
            SINGLE: lambda draw: questions.single(self.world, [draw.choice(parts)], draw, "known"),
            TWO_HOP: lambda draw: questions.two_hop(self.world, draw.choice(links), draw, "known"),
        }
        return {kind: self._drawn(kind, make) for kind, make in ways.items()}

    def _drawn(self, kind: str, make: Callable[[random.Random], questions.Question | None]) -> list[questions.Question]:
        draw, found = random.Random(f"{kind} {self.seed}"), dict[str, questions.Question]()
        for _ in range(self.n * TRIES):
            if len(found) < self.n and (one := make(draw)):
                found.setdefault(one.text, one)
        return list(found.values())

    @cached_property
    def asked(self) -> dict[str, list[Question]]:
        """The questions of each kind; those with contradicting passages are the ones for single facts."""
        alone, both = (
            [
                Question(f"{kind} {number}", one.text, self._wanted(one), (one.answer,), "en")
                for number, one in enumerate(self.made[kind])
            ]
            for kind in (SINGLE, TWO_HOP)
        )
        return {SINGLE: alone, TWO_HOP: both, CALLED_FALSE: alone, AS_IF_TRUE: alone, SCATTERED: self._scattered()}

    def _scattered(self) -> list[Question]:
        found = self.scattered
        wanted = {
            name: tuple(Wanted(id=one) for one, grade in graded.items() if grade == beir.ANSWERS)
            for name, graded in found.relevance.items()
        }
        return [
            Question(name, text, wanted[name], (found.wanted[name].value,), "en")
            for name, text in found.queries.items()
        ]

    def right(self, question: Question) -> Hit:
        """The passage that answers a question."""
        return self.documents[question.wanted[0].id]

    @cached_property
    def contradicted(self) -> dict[str, Mapping[str, Sequence[Hit]]]:
        """The passages shown with each question, by what is said of the wrong value."""
        return {kind: {one.text: self._shown(one, kind) for one in self.made[SINGLE]} for kind in AGAINST}

    def _wanted(self, made: questions.Question) -> tuple[Wanted, ...]:
        """Every passage that states one of the facts; a marriage is told of either."""
        found = {fact.subject.name for fact in made.facts}
        for fact in made.facts:
            if fact.relation in MUTUAL and self.passages[fact.value].stating(fact.relation):
                found.add(fact.value)
        first = made.facts[0].subject.name
        return tuple(Wanted(id=name) for name in (first, *sorted(found - {first})))

    def _shown(self, made: questions.Question, kind: str) -> Sequence[Hit]:
        """The right passage, one with a wrong value, and two that say the same of others; in any order."""
        draw, (fact,) = random.Random(f"{kind} {made.text} {self.seed}"), made.facts
        entities = relatives(self.world, fact.subject, self.world.by_kind[fact.subject.kind], K, draw)
        others = [e for e in entities if e.name not in (fact.subject.name, fact.value)][: K - 2]
        alike = [
            Hit(e.name, 0.0, said(self.world.facts[e.name][fact.relation], draw), self.documents[e.name].title)
            for e in others
        ]
        hits = [self.documents[fact.subject.name], self._contradiction(fact, kind, draw), *alike]
        draw.shuffle(hits)
        return hits

    def _contradiction(self, fact: Fact, kind: str, draw: random.Random) -> Hit:
        relation, name = relations()[fact.relation], fact.subject.name
        values = (value_of(fact.relation, relation.value, fact.subject, self.world.by_kind, draw) for _ in range(1000))
        value = next(value for value in values if value != fact.value)
        wrong = Fact(fact.subject, fact.relation, value)
        text = mistake(relation, name, value, draw) if kind == CALLED_FALSE else said(wrong, draw)
        return Hit(WRONG, 0.0, text, self.documents[name].title)
