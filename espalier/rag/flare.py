"""FLARE, forward-looking active retrieval (Jiang et al., 2023), arXiv:2305.06983."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from espalier import asking, reading
from espalier.catalogue import method
from espalier.contracts import LM, Answer, Hit, Retriever
from espalier.drafts import Draft
from espalier.errors import RecipeError
from espalier.lm.writing import Writing, needs_logps
from espalier.spending import counting

SEARCHING = (
    " Whenever you need to know more, write [Search(what to look up)] and stop there; you are shown passages about it "
    "and go on. For example: The flag has three colors. [Search(meaning of the green stripe)]"
)
GAP = (
    "Read an answer that is being written. Write one question, and nothing else, to which the reply is the words given."
)
_CALL = re.compile(r"\[\s*Search\(([^\n]*?)\)\s*\]?", re.IGNORECASE)


@method(paper="arXiv:2305.06983")
@dataclass(frozen=True)
class FLARE:
    """Write sentence by sentence, and search again with the next sentence wherever the model is not sure of it.

    Inputs: questions; a retriever, and a model whose samples have log-probabilities (`mode` "instruct" needs none).
    Relations: rag/retrieve_then_read is theta 0; rag/self_rag lets critics decide when to search.
    Departs from the paper: the look-ahead reads the passages found last, as in the released code (`keep` false shows it
    none, as in the formula); prompts are our own, without examples of a task; a search call is asked for in words, its
    tokens are neither made likelier nor forbidden, which servers do not offer: a call made twice is ignored.
    """

    lm: LM
    retriever: Retriever
    mode: Literal["direct", "instruct"] = "direct"
    theta: float = 0.8  # a sentence with a token less likely is looked up; 0: never, 1: every sentence
    beta: float = 0.4  # tokens less likely are left out of the query, or asked about
    query: Literal["mask", "ask"] = "mask"  # leave unsure tokens out, or ask a question about each unsure span
    keep: bool = True  # the look-ahead reads the passages found last
    k: int = 2  # passages
    sentence_tokens: int = 64  # of a look-ahead
    max_tokens: int = 256  # of the whole reply
    instruction: str = reading.INSTRUCTION

    def __post_init__(self) -> None:
        if not (0 <= self.theta <= 1 and 0 <= self.beta <= 1):
            raise RecipeError(f"rag/flare: theta {self.theta} and beta {self.beta} are probabilities, from 0 to 1.")
        if min(self.k, self.sentence_tokens, self.max_tokens) < 1:
            raise RecipeError("rag/flare: k, sentence_tokens and max_tokens are at least 1.")

    def solve(self, question: str) -> Answer:
        if self.mode == "direct":
            needs_logps(self.lm, "rag/flare", "rag/flare with mode 'instruct'")
        instruction = self.instruction + SEARCHING * (self.mode == "instruct")
        with counting() as spent:
            writing = Writing(self.lm, question, instruction, self.max_tokens)
            hits = asking.search(self.retriever, question, self.k)
            writing.trace.append(f"searched {question!r}: {asking.names(hits)}")
            (self._direct if self.mode == "direct" else self._instruct)(writing, hits)
        return asking.conclude(writing.text, writing.seen, [*writing.trace, f"replied {writing.text!r}"], spent)

    def _direct(self, writing: Writing, hits: tuple[Hit, ...]) -> None:
        ahead, sentence = Draft(ended=False), Draft(ended=False)
        while writing.room > 0 and not sentence.ended:
            if not ahead.whole():
                ahead = writing.ahead(hits if self.keep or not writing.text else (), self.sentence_tokens)
            sentence, ahead = ahead.cut()
            if not sentence.unsure(self.theta):
                writing.trace.append(f"sure of {sentence.text.strip()!r}")
            elif found := self._search(writing, sentence):
                hits = found
                sentence, ahead = writing.ahead(hits, self.sentence_tokens).cut()
                ahead = ahead if self.keep else Draft(ended=False)
            if not sentence.text.strip():
                return
            writing.add(sentence.text, len(sentence.tokens))

    def _search(self, writing: Writing, sentence: Draft) -> tuple[Hit, ...]:
        """The passages that a sentence finds, by what is sure in it or by questions about what is not."""
        queries = [sentence.masked(self.beta)]
        if self.query == "ask" and (spans := sentence.spans(self.beta)):
            queries = [self._question(writing, sentence, span) for span in spans]
        lists = [asking.search(self.retriever, query, self.k) for query in queries if query.strip()]
        found = asking.merged(*lists, k=self.k)
        told = f"not sure of {sentence.text.strip()!r}, searched {', '.join(map(repr, queries))}"
        writing.trace.append(f"{told}: {asking.names(found)}")
        return found

    def _question(self, writing: Writing, sentence: Draft, span: str) -> str:
        answer = f"{reading.ANSWER} {writing.text + sentence.text}"
        lines = (GAP, f"{reading.QUESTION} {writing.question}", answer, f"Words: {span}")
        return self.lm.complete("\n".join(" ".join(line.split()) for line in lines), max_tokens=64)[0].strip()

    def _instruct(self, writing: Writing, hits: tuple[Hit, ...]) -> None:
        asked = {writing.question}
        while writing.room > 0:
            draft = writing.ahead(hits, self.sentence_tokens)
            call = self._call(draft.text, writing.seen)
            before = draft.text[: call.start()] if call else draft.text
            writing.add(before, asking.count_tokens(self.lm, draft.text))
            query = call[1].strip(" '\"") if call else ""
            if query and query not in asked:
                asked.add(query)
                hits = asking.search(self.retriever, query, self.k) or hits
                writing.trace.append(f"asked for {query!r}: {asking.names(hits)}")
                continue
            rest = draft.text[call.end() :] if call else ""
            writing.text += rest if not self._call(rest, writing.seen) else ""
            if draft.ended or not (before + rest).strip():
                return

    def _call(self, text: str, seen: tuple[Hit, ...]) -> re.Match[str] | None:
        """The first search that the model calls for; one that it quotes from a passage is none."""
        return next((call for call in _CALL.finditer(text) if not any(call[0] in hit.text for hit in seen)), None)
