"""What the bundled model is asked to find and to answer on the test world, and every way in which it does so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from benchmarks.solving_questions import AGAINST, BOTH, SCATTERED, SINGLE, K, Setting
from espalier import filtering, reading
from espalier.contracts import LM, Answer, Hit, Row, Scorer, Scores, Strategy
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
from espalier.spending import counting
from espalier.synthesis.filtered_contexts import FilteredContexts
from espalier.world.judging import relevance_prompt

DEPTH = 8  # hits that are ordered again
STRIPS = 2  # that crag keeps: of passages as short as these its 6 would be nearly all
SPARE = 64  # parts of filtered passages: all of them
TOKENS = 160  # of a reply

Oracle = Literal["string", "lexical", "cxmi"]


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
    index = s.index(kind)
    found = Reranked(index, scorer(s.lm), "reranker", DEPTH, "bm25") if scorer else index
    return RetrieveThenRead(s.lm, Remembered(found), k=k, max_tokens=TOKENS)


def shown(s: Setting, kind: str, *, oracle: Oracle | None = None, overlap: float = 0.5) -> Strategy:
    """With contradicting passages, whole or filtered by somebody who knows the answer."""
    chosen = s.contradicted[kind]
    answers = {question.text: question.answers for question in s.asked[kind]}

    def filtered(question: str) -> Sequence[Hit]:
        hits = chosen[question]
        row = Row(question=question, answers=answers[question], passages=[_passage(hit) for hit in hits])
        (told,) = FilteredContexts(s.lm, oracle or "string", overlap, tasks="filter").each(row)
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
    return FLARE(s.lm, s.index(kind), k=K, theta=theta, max_tokens=TOKENS)


def self_rag(s: Setting, kind: str, *, threshold: float | None) -> Strategy:
    """With critics; None searches always."""
    if threshold is None:
        return SelfRAG(s.lm, s.index(kind), k=K, mode="always", max_tokens=TOKENS)
    return SelfRAG(s.lm, s.index(kind), k=K, threshold=threshold, max_tokens=TOKENS)


def crag(s: Setting, kind: str, *, taught: bool) -> Strategy:
    """With the model as evaluator, asked in CRAG's words or in those it was trained on."""
    return CRAG(s.lm, s.index(kind), Taught(s.lm) if taught else None, k=K, keep=STRIPS, max_tokens=TOKENS)


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
    Way(FIRST, partial(read, k=1), (SINGLE, SCATTERED), ranked=True),
    Way(ALWAYS, read, BOTH),
    Way("BM25 + upr, k = 1", partial(read, k=1, scorer=UPR), (SCATTERED,), ranked=True),
    Way("BM25 + prp, k = 1", partial(read, k=1, scorer=partial(PRP, k=1)), (SCATTERED,), ranked=True),
    Way("BM25 + the question it was taught, k = 1", partial(read, k=1, scorer=Taught), (SCATTERED,), ranked=True),
    Way(WHOLE, shown, AGAINST),
    Way("filco, oracle: has the answer", partial(shown, oracle="string"), AGAINST),
    Way("filco, oracle: F1 with it at least 0.2", partial(shown, oracle="lexical", overlap=0.2), AGAINST),
    Way("filco, oracle: makes it likelier (CXMI)", partial(shown, oracle="cxmi"), AGAINST),
    Way("filco, sprout filters", filco, AGAINST),
    Way("system2_attention", attention, AGAINST),
    *(Way(f"flare, theta {theta}", partial(flare, theta=theta), BOTH) for theta in (0.5, 0.8, 1.0)),
    Way("self_rag, threshold 0.2", partial(self_rag, threshold=0.2), BOTH),
    Way("self_rag, always", partial(self_rag, threshold=None), BOTH),
    Way(f"crag, {STRIPS} strips, asked in its words", partial(crag, taught=False), BOTH),
    Way(f"crag, {STRIPS} strips, asked as it was taught", partial(crag, taught=True), BOTH),
)
