"""CRAG, corrective retrieval-augmented generation (Yan et al., 2024), arXiv:2401.15884."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from espalier import asking, reading
from espalier.catalogue import build, method
from espalier.contracts import LM, Answer, Hit, Retriever, Row, Scorer
from espalier.errors import RecipeError
from espalier.lm.critics import Relevance
from espalier.lm.writing import keywords
from espalier.spending import counting
from espalier.strips import Order, Strips, decompose, recompose

Action = Literal["correct", "incorrect", "ambiguous"]


def action(scores: Sequence[float | None], *, upper: float, lower: float) -> Action:
    """Section 4.3: correct if some score >= upper, incorrect if all scores < lower, else ambiguous.

    Args:
        scores: of the passages, each by itself; None where the evaluator could not say, which is no low score. [D]
        upper: from here on a passage is relevant.
        lower: below it one is not; most often a negative number.
    """
    known = [score for score in scores if score is not None]
    if any(score >= upper for score in known):
        return "correct"
    return "incorrect" if len(known) == len(scores) and all(score < lower for score in known) else "ambiguous"


@method(paper="arXiv:2401.15884")
@dataclass(frozen=True)
class CRAG:
    """Judge what was found, read only its best strips, and where it will not do, search a second source with keywords.

    Inputs: questions; a model and a retriever; an evaluator of passages and a second retriever, if there are any.
    Relations: rag/retrieve_then_read trusts what was found; rag/self_rag judges the answers, too.
    Departs from the paper: without an `evaluator` the model itself is asked, and its p(yes) - p(no) is the score, where
    the paper trains T5; the second source is any retriever in place of a web search, and its passages are refined like
    the others. The thresholds are those for PopQA with T5: set them for another evaluator. Strips are put together in
    the order of their documents, as the paper has it; the released code has them in the order of their scores.
    """

    lm: LM
    retriever: Retriever
    evaluator: Scorer | str | None = None  # rows with query and document; a name is that of a cross-encoder
    second: Retriever | None = None  # another index
    upper: float = 0.59  # a passage that scores this is relevant
    lower: float = -0.99  # one that scores less is not
    strips: Strips = "sentences"  # three sentences, 50 words, or the whole passage
    keep: int = 6  # strips that are read
    order: Order = "document"  # or "score"
    k: int = 10  # passages
    max_tokens: int = 256  # of the reply
    instruction: str = reading.INSTRUCTION

    def __post_init__(self) -> None:
        if self.lower > self.upper:
            raise RecipeError(
                f"rag/crag: lower {self.lower} is above upper {self.upper}; lower is signed, as scores are."
            )
        if self.k < 1 or self.keep < 1:
            raise RecipeError(f"rag/crag: k is {self.k} and keep {self.keep}; both must be at least 1.")

    def solve(self, question: str) -> Answer:
        trace: list[str] = []
        with counting() as spent:
            hits = self._knowledge(question, trace)
            asked = asking.ask(self.lm, question, hits, instruction=self.instruction, max_tokens=self.max_tokens)
            reply = self.lm.complete(asked.prompt, max_tokens=self.max_tokens)[0] if hits else ""
        trace += [*asking.shown(asked.hits), *filter(None, [asked.note]), f"replied {reply!r}"]
        return asking.conclude(reply, asked.hits, trace, spent)

    def _knowledge(self, question: str, trace: list[str]) -> tuple[Hit, ...]:
        """What there is to read."""
        found = asking.search(self.retriever, question, self.k)
        scores = self._scores(question, found)
        taken = action(scores, upper=self.upper, lower=self.lower)
        trace.append(f"{taken}: {asking.names(found, scores)}")
        if taken == "correct":
            return self._refined(question, found)
        further = self._further(question, trace)
        if taken == "incorrect" and further:
            return further
        return asking.joined(self._refined(question, found), further)

    def _further(self, question: str, trace: list[str]) -> tuple[Hit, ...]:
        """What the second source has."""
        if self.second is None:
            trace.append("there is no second source; going on with what was found")
            return ()
        query = keywords(self.lm, question)
        found = asking.search(self.second, query, self.k)
        trace.append(f"searched the second source for {query!r}: {asking.names(found)}")
        return self._refined(question, found)

    def _refined(self, question: str, hits: Sequence[Hit]) -> tuple[Hit, ...]:
        """The strips of passages that matter."""
        strips = decompose(hits, self.strips)
        scores = self._scores(question, [replace(strip.hit, text=strip.text) for strip in strips])
        scored = [replace(strip, score=score) for strip, score in zip(strips, scores, strict=True)]
        return recompose(scored, self.keep, self.order)

    def _scores(self, question: str, hits: Sequence[Hit]) -> tuple[float | None, ...]:
        rows = [Row(query=question, document=hit.text, title=hit.title, group=question) for hit in hits]
        return self._evaluator.score(rows).values if rows else ()

    @cached_property
    def _evaluator(self) -> Scorer:
        if isinstance(self.evaluator, str):
            found: Scorer = build({"method": "rerankers/cross_encoder", "model": self.evaluator})
            return found
        return self.evaluator or Relevance(self.lm)
