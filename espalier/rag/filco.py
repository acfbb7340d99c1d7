"""FILCO, learning to filter context (Wang et al., 2023), arXiv:2311.08377."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from espalier import asking, filtering, reading
from espalier.catalogue import method
from espalier.contracts import LM, Answer, Hit, Retriever
from espalier.errors import RecipeError
from espalier.lm.prompts import count_tokens
from espalier.spending import counting, spend


@method(paper="arXiv:2311.08377")
@dataclass(frozen=True)
class FILCO:
    """Have a model keep the sentences of the passages that help to answer, then answer from these alone.

    Inputs: questions; a model and a retriever; a second model that filters, if one was tuned for it on the rows that
    synthesis/filtered_contexts makes.
    Relations: rag/crag scores strips of passages instead; rag/system2_attention has the model write the passages anew.
    Departs from the paper: a model that was not tuned is asked in words. It copies sentences with their labels, so that
    what is kept stands in the passages as it is. Where it keeps nothing, the passages are read whole, as in the paper.
    """

    lm: LM
    retriever: Retriever
    filter_lm: LM | None = None  # that filters; the model itself if there is none
    k: int = 5  # passages
    filter_tokens: int = 512  # of what is kept
    max_tokens: int = 256  # of the reply
    instruction: str = reading.INSTRUCTION

    def __post_init__(self) -> None:
        if self.k < 1:
            raise RecipeError(f"rag/filco: k is {self.k}; it must be at least 1.")

    def solve(self, question: str) -> Answer:
        trace: list[str] = []
        with counting() as spent:
            hits = asking.search(self.retriever, question, self.k)
            if not hits:
                return asking.conclude("", hits, [asking.UNFOUND], spent)
            kept = self._filtered(question, hits, trace)
            asked = asking.ask(self.lm, question, kept, instruction=self.instruction, max_tokens=self.max_tokens)
            reply = self.lm.complete(asked.prompt, max_tokens=self.max_tokens)[0]
        trace += [*asking.shown(asked.hits), *filter(None, [asked.note]), f"replied {reply!r}"]
        return asking.conclude(reply, asked.hits, trace, spent)

    def _filtered(self, question: str, hits: Sequence[Hit], trace: list[str]) -> tuple[Hit, ...]:
        """What is left of the passages, as far as the model that filters can read them."""
        lm = self.filter_lm or self.lm
        asked = asking.ask(lm, question, hits, instruction=filtering.INSTRUCTION, max_tokens=self.filter_tokens)
        reply = lm.complete(asked.prompt, max_tokens=self.filter_tokens)[0]
        labels = filtering.read(reply, asked.hits)
        kept = filtering.filtered(asked.hits, labels)
        before, after = (sum(count_tokens(self.lm, hit.text) for hit in found) for found in (asked.hits, kept))
        spend(found_tokens=before, read_tokens=after)
        trace += [asking.names(hits), *filter(None, [asked.note])]
        if labels:
            sentences = len(filtering.sentences_of(asked.hits))
            trace.append(f"kept {len(labels)} of {sentences} sentences, {after:,} of {before:,} tokens")
        else:
            trace.append(f"kept no sentence, so the passages are read whole: {reply!r}")
        return kept
