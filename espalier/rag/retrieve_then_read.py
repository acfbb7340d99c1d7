"""Retrieve, then read: retrieval-augmented generation (Lewis et al., 2020), arXiv:2005.11401, without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from espalier import reading
from espalier.catalogue import method
from espalier.citing import cite
from espalier.contracts import LM, Answer, Hit, Retriever
from espalier.errors import RecipeError, RunError

CHARACTERS = 3  # of a token, where the model's own count is not to be had; most texts have more


@dataclass(frozen=True)
class Asked:
    """A question ready for a model: the prompt, the passages in it, and what is worth telling about them."""

    prompt: str
    hits: tuple[Hit, ...]  # none: there is nothing to read
    note: str = ""


@method(paper="arXiv:2005.11401")
@dataclass(frozen=True)
class RetrieveThenRead:
    """Answer from the k best passages, quoting the sentences that say it, each quote checked against its document.

    Inputs: questions; a model and a retriever.
    Departs from the paper: all passages stand in one prompt instead of one each, and neither part is trained, as has
    become usual; the reply quotes its evidence first, so that it can be checked.
    """

    lm: LM
    retriever: Retriever
    k: int = 4  # passages
    max_tokens: int = 256  # of the reply
    instruction: str = reading.INSTRUCTION

    def __post_init__(self) -> None:
        if self.k < 1:
            raise RecipeError(f"rag/retrieve_then_read: k is {self.k}; it must be at least 1.")

    def solve(self, question: str) -> Answer:
        asked = self.ask(question)
        reply = self.lm.complete(asked.prompt, max_tokens=self.max_tokens)[0] if asked.hits else ""
        return self.conclude(asked, reply)

    def ask(self, question: str) -> Asked:
        """Retrieve, and show as many of the best passages as the model's context holds.

        Raises:
            RunError: it does not even hold the best one.
        """
        hits = tuple(self.retriever.search(question, self.k))
        context = getattr(self.lm, "context", None)
        for count in range(len(hits), 0, -1):
            prompt = self._prompt(question, hits[:count])
            if context is None:
                return Asked(prompt, hits)
            tokens = self._tokens(prompt)
            if tokens <= context - min(self.max_tokens, context // 4):
                note = f"the model reads {context:,} tokens, so it is shown {count} of {len(hits)} passages"
                return Asked(prompt, hits[:count], note if count < len(hits) else "")
        if not hits:
            return Asked("", (), "no passage has a word of the question")
        raise RunError(
            f"the model reads {context:,} tokens, and the question with its best passage has {tokens:,}. Ask a shorter "
            "question, index with smaller passages (--size), or take a model that reads more."
        )

    def conclude(self, asked: Asked, reply: str) -> Answer:
        """The answer in a model's reply to the prompt, with its quotes looked up in the passages that it was shown."""
        found = reading.read(reply)
        shown = [f"shown {hit.document}, characters {hit.start} to {hit.start + len(hit.text)}" for hit in asked.hits]
        trace = (*shown, *filter(None, [asked.note]), f"replied {reply!r}")
        return Answer(
            found.answer or reading.ABSTAINED, () if found.abstained else cite(found.quotes, asked.hits), trace
        )

    def _prompt(self, question: str, hits: Sequence[Hit]) -> str:
        passages = [(" ".join(hit.title.split()), hit.text) for hit in hits]  # on one line, whatever a document says
        return reading.prompt(question, passages, instruction=self.instruction)

    def _tokens(self, prompt: str) -> int:
        renderer = getattr(self.lm, "renderer", None)
        return len(renderer.prompt(prompt)) if renderer is not None else len(prompt) // CHARACTERS + 1
