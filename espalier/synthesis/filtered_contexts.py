"""Rows to tune a filter of contexts and a reader of what it keeps: FILCO (Wang et al., 2023), arXiv:2311.08377."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from espalier import filtering, reading
from espalier.catalogue import method
from espalier.contracts import LM, Hit, Row
from espalier.curating import EachRow, Item
from espalier.errors import RecipeError
from espalier.lm.prompts import logprobs_all
from espalier.maths.answers import f1
from espalier.rows import Dropped

ANSWER = "Reply with a short answer to the question, and nothing else."


@method(paper="arXiv:2311.08377")
@dataclass(frozen=True)
class FilteredContexts(EachRow):
    """Find the sentences of passages that help to answer, by the answers that are known, as rows to train on.

    Inputs: rows with question, answers and passages, which are texts or have text and title. A row has prompt and
    completion, and its `task`: to "filter" (the sentences that help, for rag/filco's filter_lm) or to "answer" (from
    these alone, for its reader); `kept`, the share of the passages' characters, and whether that `has_answer`.
    Relations: rag/filco uses both models.
    Departs from the paper: every right answer counts, not only the first. Where no sentence helps, the filter is to say
    so, which has the passages read whole, as in the paper.
    """

    lm: LM | None = None  # whose log-probabilities cxmi takes
    oracle: Literal["string", "lexical", "cxmi"] = "string"  # has an answer, shares its words, makes it likelier
    overlap: float = 0.5  # lexical: a sentence helps whose words' F1 with an answer is this
    gain: float = 0.0  # cxmi: one that makes the answers likelier by more than this, in nats
    tasks: Literal["both", "filter", "answer"] = "both"

    def __post_init__(self) -> None:
        """Refuse an oracle without its model."""
        if self.oracle == "cxmi" and self.lm is None:
            raise RecipeError("synthesis/filtered_contexts: the oracle cxmi asks a model; name one, --lm MODEL.")

    def each(self, row: Row) -> Iterator[Item]:
        """A row for the filter and one for the reader."""
        question, answers, hits = filtering.asked(row)
        if not answers or not hits:
            yield Dropped(row.where, "no passages" if answers else "no answer")
            return
        labels = self._labels(question, answers, hits)
        kept = filtering.filtered(hits, labels)
        about = {
            "question": question, "answers": list(answers),
            "kept": round(sum(len(hit.text) for hit in kept) / sum(len(hit.text) for hit in hits), 4),
            "has_answer": any(filtering.string_inclusion(hit.text, answers) for hit in kept),
        }  # fmt: skip
        if self.tasks != "answer":
            prompt, completion = filtering.prompt(question, hits), filtering.reply(hits, labels)
            yield Row(about, row.where, task="filter", prompt=prompt, completion=completion)
        if self.tasks != "filter":
            shown = [(hit.title, hit.text) for hit in kept]
            quotes = self._quotes(answers, hits, labels)
            prompt, completion = reading.prompt(question, shown), reading.reply(answers[0], quotes, shown)
            yield Row(about, row.where, task="answer", prompt=prompt, completion=completion)

    def told(self, rows: Sequence[Row]) -> list[str]:
        """How much the filter leaves, and how often the answer is in it."""
        if not rows:
            return []
        kept, answered = (sum(float(row[name]) for row in rows) / len(rows) for name in ("kept", "has_answer"))
        return [f"The filter keeps {kept:.0%} of the passages; an answer stands in {answered:.0%} of what it keeps."]

    def _labels(self, question: str, answers: Sequence[str], hits: Sequence[Hit]) -> list[str]:
        """The labels of the sentences that help."""
        sentences = {label: (strip.hit.title, strip.text) for label, strip in filtering.sentences_of(hits).items()}
        if self.oracle == "string":
            return [label for label, (_, text) in sentences.items() if filtering.string_inclusion(text, answers)]
        if self.oracle == "lexical":
            return [label for label, (_, text) in sentences.items() if f1(text, answers) >= self.overlap]
        assert self.lm is not None
        prompts = [f"{ANSWER}\n{reading.prompt(question, ())}"]
        prompts += [reading.prompt(question, [shown], instruction=ANSWER) for shown in sentences.values()]
        alone, *given = logprobs_all(
            self.lm, [(prompt, answers) for prompt in prompts], method="synthesis/filtered_contexts",
            instead="Take another oracle: oracle=string.",
        )  # fmt: skip
        gains = [filtering.cxmi(logps, alone) for logps in given]
        return [label for label, gain in zip(sentences, gains, strict=True) if gain > self.gain]

    def _quotes(self, answers: Sequence[str], hits: Sequence[Hit], labels: Sequence[str]) -> list[str]:
        """The kept sentences that have an answer, or else all of them."""
        kept = [
            " ".join(strip.text.split()) for label, strip in filtering.sentences_of(hits).items() if label in labels
        ]
        return [text for text in kept if filtering.string_inclusion(text, answers)] or kept
