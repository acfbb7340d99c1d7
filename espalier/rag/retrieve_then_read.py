"""Retrieve, then read: retrieval-augmented generation (Lewis et al., 2020), arXiv:2005.11401, without training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from espalier import asking, reading
from espalier.asking import Asked
from espalier.catalogue import method
from espalier.contracts import LM, Answer, Retriever
from espalier.errors import RecipeError
from espalier.spending import counting


@method(paper="arXiv:2005.11401")
@dataclass(frozen=True)
class RetrieveThenRead:
    """Answer from the k best passages, quoting the sentences that say it, each quote checked against its document.

    Inputs: questions; a model and a retriever.
    Relations: rag/flare searches again while it writes; rag/crag doubts what was found; rag/self_rag reads passages one
    by one.
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
        with counting() as spent:
            asked = self.ask(question)
            reply = self.lm.complete(asked.prompt, max_tokens=self.max_tokens)[0] if asked.hits else ""
        return self._concluded(asked, reply, spent)

    def ask(self, question: str) -> Asked:
        """Retrieve, and show as many of the best passages as the model's context holds; none: there is nothing to read.

        Raises:
            RunError: it does not even hold the best one.
        """
        with counting() as spent:
            hits = asking.search(self.retriever, question, self.k)
            if not hits:
                return Asked("", (), asking.UNFOUND, spent)
            asked = asking.ask(self.lm, question, hits, instruction=self.instruction, max_tokens=self.max_tokens)
        return replace(asked, spent=spent)

    def conclude(self, asked: Asked, reply: str) -> Answer:
        """The answer in a model's reply to the prompt, which may have been streamed."""
        spent = dict(asked.spent)
        if asked.hits:
            amounts = {
                "calls": 1,
                "prompt_tokens": self._tokens(asked.prompt),
                "completion_tokens": self._tokens(reply),
            }
            spent |= {name: spent.get(name, 0) + amount for name, amount in amounts.items()}
        return self._concluded(asked, reply, spent)

    def _concluded(self, asked: Asked, reply: str, spent: Mapping[str, int]) -> Answer:
        trace = (*asking.shown(asked.hits), *filter(None, [asked.note]), f"replied {reply!r}")
        return asking.conclude(reply, asked.hits, trace, spent)

    def _tokens(self, text: str) -> int:
        return asking.count_tokens(self.lm, text)
