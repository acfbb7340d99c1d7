"""Segments of an answer, written and judged: what Self-RAG needs of a model, and how any model is asked for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from espalier import asking
from espalier.contracts import LM, Hit, Prompt
from espalier.drafts import Draft, has_logps, plain
from espalier.lm.critics import RETRIEVE, SUPPORT, SUPPORTED, USE, USEFUL, YES_NO, Critics, Shares, shown


@dataclass(frozen=True)
class Segment:
    """A stretch of an answer, and the shares of what critics could say of it; None where nobody said anything."""

    text: str
    ended: bool  # the answer is complete with it
    hit: Hit | None = None  # the passage it was written from
    likely: float | None = None  # geometric mean of its tokens' probabilities
    relevant: Shares | None = None  # of "relevant" and "irrelevant"
    supported: Shares | None = None  # of "fully", "partially" and "not"
    useful: Shares | None = None  # of 1 to 5
    ids: tuple[int, ...] = ()  # as it was written, where the model goes on from ids


class Reader(Protocol):
    """Writes segments and judges them."""

    def wants(self, question: str, before: Sequence[Segment]) -> Shares | None:
        """The shares of "retrieve" and "do not", where an answer goes on."""
        ...

    def segments(self, question: str, before: Sequence[Segment], hits: Sequence[Hit], whole: bool) -> list[Segment]:
        """One segment from each passage, or one from none; a whole answer, or its next sentence."""
        ...


@dataclass
class PromptedReader:
    """Any model, asked in words.

    Attributes:
        critics: the model as a critic.
    """

    lm: LM
    instruction: str
    max_tokens: int
    critics: Critics = field(init=False)

    def __post_init__(self) -> None:
        """The critics are the model itself."""
        self.critics = Critics(self.lm)

    def wants(self, question: str, before: Sequence[Segment]) -> Shares | None:
        """By the words yes and no."""
        answer = plain("".join(segment.text for segment in before))
        return self.critics.judge([shown(question, (), RETRIEVE, answer or None)], YES_NO)[0]

    def segments(self, question: str, before: Sequence[Segment], hits: Sequence[Hit], whole: bool) -> list[Segment]:
        """Each written from one passage, at temperature 0, and judged by itself."""
        begun = "".join(segment.text for segment in before)
        prompts = [self._prompt(question, [hit], begun) for hit in hits] or [self._prompt(question, (), begun)]
        samples = [found[0] for found in self.lm.sample(prompts, n=1, temperature=0.0, max_tokens=self.max_tokens)]
        drafts = [Draft.of(sample) if whole else Draft.of(sample).cut()[0] for sample in samples]
        answers = [plain(begun + draft.text) for draft in drafts]
        useful = self.critics.judge([shown(question, (), USEFUL, answer) for answer in answers], USE)
        relevant: list[Shares | None] = self.critics.relevant(question, hits) if hits else [None]
        claims = [
            shown(question, [hit], SUPPORTED, plain(draft.text)) for hit, draft in zip(hits, drafts, strict=False)
        ]
        supported: list[Shares | None] = self.critics.judge(claims, SUPPORT) if hits else [None]
        likely = [mean_probability(d.logps) if has_logps(s) else None for d, s in zip(drafts, samples, strict=True)]
        read: list[Hit | None] = [*hits] if hits else [None]
        parts = zip(drafts, read, likely, relevant, supported, useful, strict=True)
        return [Segment(draft.text, draft.ended, *judged) for draft, *judged in parts]

    def _prompt(self, question: str, hits: Sequence[Hit], begun: str) -> Prompt:
        limit, instruction = self.max_tokens, self.instruction
        asked = asking.ask(self.lm, question, hits, instruction=instruction, max_tokens=limit, begun=begun)
        return asking.continued(asked.prompt, begun)


@dataclass(frozen=True)
class Path:
    """An answer as far as it is written; its score is the product of its segments' scores, none of them below 0."""

    segments: tuple[Segment, ...] = ()
    score: float = 1.0

    def then(self, segment: Segment, score: float) -> Path:
        """The path with one segment more."""
        return Path((*self.segments, segment), self.score * max(score, 0.0))

    @property
    def text(self) -> str:
        """What it says."""
        return "".join(segment.text for segment in self.segments)

    @property
    def ended(self) -> bool:
        """Whether it is complete."""
        return bool(self.segments) and self.segments[-1].ended


def mean_probability(logps: Sequence[float]) -> float | None:
    """exp of the mean log-probability."""
    return math.exp(sum(logps) / len(logps)) if logps else None
