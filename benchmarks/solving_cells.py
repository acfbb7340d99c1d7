"""What the bundled model is asked to find and to answer on the test world, and every way in which it does so."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal

from espalier import filtering, reading
from espalier.contracts import LM, Answer, Hit, Retriever, Row, Scorer, Scores, Strategy
from espalier.evaluation.searching import Question, Wanted
from espalier.evaluation.solving import Remembered
from espalier.lm.critics import YES_NO, shares, signed
from espalier.lm.prompts import logprobs_all
from espalier.rag.crag import CRAG
from espalier.rag.filco import FILCO
from espalier.rag.flare import FLARE
from espalier.rag.retrieve_then_read import RetrieveThenRead
from espalier.rag.self_rag import SelfRAG
from espalier.rag.system2_attention import System2Attention
from espalier.rerankers.prp import PRP
from espalier.rerankers.upr import UPR
from espalier.reranking import Reranked
from espalier.retrievers.bm25 import BM25
from espalier.spending import counting
from espalier.synthesis.filtered_contexts import FilteredContexts
from espalier.world import questions
from espalier.world.facts import MUTUAL, Fact, World, value_of
from espalier.world.judging import relevance_prompt
from espalier.world.passages import Passage, said
from espalier.world.questions import Mixture, relatives, some, written
from espalier.world.wordings import mistake, relations

SINGLE, TWO_HOP = "single-hop", "two-hop"
CALLED_FALSE, AS_IF_TRUE = "called false", "as if true"
BOTH, AGAINST = (SINGLE, TWO_HOP), (CALLED_FALSE, AS_IF_TRUE)
WRONG = "contradicting"  # the passage that says another value
K = 4  # passages that are read, unless a way says otherwise
DEPTH = 8  # hits that are ordered again
SPARE = 64  # parts of filtered passages: all of them
TOKENS = 160  # of a reply
TRIES = 50  # for each question

Oracle = Literal["string", "lexical", "cxmi"]


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
        return {SINGLE: alone, TWO_HOP: both, CALLED_FALSE: alone, AS_IF_TRUE: alone}

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


@dataclass(frozen=True)
class Fixed:
    """Finds for each question what was chosen for it."""

    chosen: Callable[[str], Sequence[Hit]]

    def search(self, query: str, k: int) -> list[Hit]:
        """The first k of it."""
        return list(self.chosen(query))[:k]

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True)
class Closed:
    """Asks without any passage."""

    lm: LM

    def solve(self, question: str) -> Answer:
        """What the model knows by itself."""
        with counting() as spent:
            found = reading.read(self.lm.complete(reading.prompt(question, ()), max_tokens=TOKENS)[0])
        return Answer(found.answer, spent=dict(spent))


@dataclass(frozen=True)
class Taught:
    """Scores passages by the question of relevance that sprout was trained on: p(yes) - p(no)."""

    lm: LM

    def score(self, rows: Sequence[Row]) -> Scores:
        """From -1 to 1."""
        asked = [(relevance_prompt(row["query"], row["document"]), YES_NO) for row in rows]
        found = logprobs_all(self.lm, asked, method="this judge", instead="")
        return Scores(tuple(signed(shares(logps)) for logps in found))


def closed(s: Setting, kind: str) -> Strategy:
    """Without passages."""
    return Closed(s.lm)


def given(s: Setting, kind: str) -> Strategy:
    """With the right passage only."""
    right = {question.text: [s.right(question)] for question in s.asked[kind]}
    return RetrieveThenRead(s.lm, Fixed(right.__getitem__), k=1, max_tokens=TOKENS)


def read(s: Setting, kind: str, *, k: int = K, scorer: Callable[[LM], Scorer] | None = None) -> Strategy:
    """With the k passages found first, by BM25 or by what orders its hits again."""
    found = Reranked(s.bm25, scorer(s.lm), "reranker", DEPTH, "bm25") if scorer else s.bm25
    return RetrieveThenRead(s.lm, Remembered(found), k=k, max_tokens=TOKENS)


def shown(s: Setting, kind: str, *, oracle: Oracle | None = None, overlap: float = 0.5) -> Strategy:
    """With contradicting passages, whole or filtered by somebody who knows the answer."""
    chosen = s.contradicted[kind]
    answers = {question.text: question.answers for question in s.asked[kind]}

    def filtered(question: str) -> Sequence[Hit]:
        hits = chosen[question]
        row = Row(question=question, answers=answers[question], passages=[_passage(hit) for hit in hits])
        (told,) = FilteredContexts(s.lm, oracle or "string", overlap, emit="filter").each(row)
        assert isinstance(told, Row)
        return filtering.filtered(hits, filtering.read(told["completion"], hits))

    return RetrieveThenRead(
        s.lm, Fixed(filtered if oracle else chosen.__getitem__), k=SPARE if oracle else K, max_tokens=TOKENS
    )


def _passage(hit: Hit) -> dict[str, str]:
    return {"title": hit.title, "text": hit.text}


def filco(s: Setting, kind: str) -> Strategy:
    """Filtered by the model itself, which is asked in words."""
    return FILCO(s.lm, Fixed(s.contradicted[kind].__getitem__), k=K, filter_tokens=TOKENS, max_tokens=TOKENS)


def attention(s: Setting, kind: str) -> Strategy:
    """Written anew by the model itself, which is asked in words."""
    found = Fixed(s.contradicted[kind].__getitem__)
    return System2Attention(s.lm, found, k=K, context_tokens=TOKENS, max_tokens=TOKENS)


def flare(s: Setting, kind: str, *, theta: float) -> Strategy:
    """Searching again for unsure sentences."""
    return FLARE(s.lm, s.bm25, k=K, theta=theta, max_tokens=TOKENS)


def self_rag(s: Setting, kind: str, *, threshold: float | None) -> Strategy:
    """With critics; None searches always."""
    if threshold is None:
        return SelfRAG(s.lm, s.bm25, k=K, mode="always", max_tokens=TOKENS)
    return SelfRAG(s.lm, s.bm25, k=K, threshold=threshold, max_tokens=TOKENS)


def crag(s: Setting, kind: str, *, taught: bool) -> Strategy:
    """With the model as evaluator, asked in CRAG's words or in those it was trained on."""
    return CRAG(s.lm, s.bm25, Taught(s.lm) if taught else None, k=K, max_tokens=TOKENS)


@dataclass(frozen=True)
class Way:
    """One way to answer questions of some kinds."""

    name: str
    build: Callable[[Setting, str], Strategy]
    kinds: tuple[str, ...]
    ranked: bool = False  # where its search has the right passage is measured, too


CLOSED, GIVEN, WHOLE = "closed-book", "the right passage only", "all passages whole"
FIRST, ALWAYS = "BM25, k = 1", f"BM25, k = {K}"
WAYS = (
    Way(CLOSED, closed, (SINGLE,)),
    Way(GIVEN, given, (SINGLE,)),
    Way(FIRST, partial(read, k=1), (SINGLE,), ranked=True),
    Way(ALWAYS, read, BOTH),
    Way("BM25 + upr, k = 1", partial(read, k=1, scorer=UPR), (SINGLE,), ranked=True),
    Way("BM25 + prp, k = 1", partial(read, k=1, scorer=partial(PRP, k=1)), (SINGLE,), ranked=True),
    Way("BM25 + the question it was taught, k = 1", partial(read, k=1, scorer=Taught), (SINGLE,), ranked=True),
    Way(WHOLE, shown, AGAINST),
    Way("filco, oracle: has the answer", partial(shown, oracle="string"), AGAINST),
    Way("filco, oracle: F1 with it at least 0.2", partial(shown, oracle="lexical", overlap=0.2), AGAINST),
    Way("filco, oracle: makes it likelier (CXMI)", partial(shown, oracle="cxmi"), AGAINST),
    Way("filco, sprout filters", filco, AGAINST),
    Way("system2_attention", attention, AGAINST),
    *(Way(f"flare, theta {theta}", partial(flare, theta=theta), BOTH) for theta in (0.5, 0.8, 1.0)),
    *(Way(f"self_rag, threshold {t}", partial(self_rag, threshold=t), BOTH) for t in (0.2, 0.001)),
    Way("self_rag, always", partial(self_rag, threshold=None), BOTH),
    Way("crag, asked in its words", partial(crag, taught=False), BOTH),
    Way("crag, asked as it was taught", partial(crag, taught=True), BOTH),
)
