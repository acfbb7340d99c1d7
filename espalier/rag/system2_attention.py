"""System 2 Attention (Weston and Sukhbaatar, 2023), arXiv:2311.11829."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from espalier import asking, reading
from espalier.catalogue import method
from espalier.contracts import LM, Answer, Hit, Retriever
from espalier.errors import RecipeError
from espalier.spending import counting
from espalier.verdicts import concluded

KEEP = (
    "Read the passages and what a user wrote about them, which is the question. Keep what is objective and bears on "
    "the question: facts of the passages, and facts that the user gives. Leave out opinions, guesses at the answer, "
    "who holds them, and what has nothing to do with it. Do not answer. "
)
TWO_PARTS = KEEP + (
    'Write two parts: "Context:" and behind it what is kept, then, on a new line, "Question:" and behind it the '
    "question itself without any opinion."
)
ONE_TEXT = KEEP + "Write one text of what is kept, and end it with the question itself without any opinion."
OBJECTIVE = " Answer by the facts alone: an opinion is no evidence, whoever holds it."
LAST = "the one that passage 1 ends with"
_MARK = r"^[\s*#_>-]*{}[*_]*[ \t]*:[*_]*[ \t]*"
_CONTEXT, _QUESTION = (re.compile(_MARK.format(name), re.IGNORECASE | re.MULTILINE) for name in ("context", "question"))


def two_parts(reply: str, hits: Sequence[Hit]) -> tuple[str, str] | None:
    """The context and the question that a reply consists of; None where it has not both.

    The last question counts. One that the reply copied from a passage together with its mark is none: a document asks
    no questions.
    """
    text = concluded(reply)
    context = _CONTEXT.search(text)
    marks = list(_QUESTION.finditer(text, context.end())) if context else []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    for mark, end in reversed(list(zip(marks, ends, strict=False))):
        question = " ".join(text[mark.end() : end].split())
        copied = " ".join(text[mark.start() : end].split()).casefold()
        if context and question and not any(copied in " ".join(hit.text.split()).casefold() for hit in hits):
            return text[context.end() : mark.start()].strip(), question
    return None


@method(paper="arXiv:2311.11829")
@dataclass(frozen=True)
class System2Attention:
    """Have a model write passages and question anew without opinions and what does not matter, and answer from that.

    Inputs: questions, which may hold context and opinions; a model and a retriever.
    Relations: rag/filco keeps sentences of the passages as they are; rag/retrieve_then_read answers at once.
    Departs from the paper: passages are searched with the question as it was asked, and citations are looked up in
    them, not in what the model wrote. Where its two parts cannot be told apart, the question is answered as it was.
    """

    lm: LM
    retriever: Retriever
    k: int = 4  # passages
    single: bool = False  # one text in place of context and question
    keep_original: bool = False  # show the passages and the question as they were, too
    instructed: bool = False  # tell the second call to be objective, too
    context_tokens: int = 512  # of what is written anew
    max_tokens: int = 256  # of the reply
    instruction: str = reading.INSTRUCTION

    def __post_init__(self) -> None:
        if self.k < 1:
            raise RecipeError(f"rag/system2_attention: k is {self.k}; it must be at least 1.")

    def solve(self, question: str) -> Answer:
        trace: list[str] = []
        with counting() as spent:
            found = asking.search(self.retriever, question, self.k)
            if not found:
                return asking.conclude("", found, [asking.UNFOUND], spent)
            hits, context, wanted = self._attended(question, found, trace)
            given = (
                (context, *hits, Hit("", 0.0, question, "What the user wrote")) if self.keep_original else (context,)
            )
            instruction = self.instruction + OBJECTIVE if self.instructed else self.instruction
            asked = asking.ask(
                self.lm, wanted, given if context.text else hits, instruction=instruction, max_tokens=self.max_tokens
            )
            reply = self.lm.complete(asked.prompt, max_tokens=self.max_tokens)[0]
        trace += [*asking.shown(hits), *filter(None, [asked.note]), f"replied {reply!r}"]
        return asking.conclude(reply, hits, trace, spent)

    def _attended(self, question: str, found: Sequence[Hit], trace: list[str]) -> tuple[tuple[Hit, ...], Hit, str]:
        """The passages that were read, what is kept of them, "" if that is not known, and what is asked."""
        asked = asking.ask(
            self.lm, question, found, instruction=ONE_TEXT if self.single else TWO_PARTS, max_tokens=self.context_tokens
        )
        reply = self.lm.complete(asked.prompt, max_tokens=self.context_tokens)[0]
        parts = (concluded(reply).strip(), LAST) if self.single else two_parts(reply, asked.hits)
        if asked.note:
            trace.append(asked.note)
        if parts is None or not parts[0]:
            trace.append(f"no context and question in {reply!r}, so the question is answered as it was asked")
            return asked.hits, Hit("", 0.0), question
        context, wanted = parts
        trace += [f"context: {context}", f"question: {wanted}"]
        return asked.hits, Hit("", 0.0, context), wanted
