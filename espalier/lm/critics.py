"""A model as a critic: which of a few words it would reply, and how likely each is."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from espalier import reading
from espalier.contracts import LM, Hit, Row, Scores
from espalier.errors import ModelError, RecipeError
from espalier.lm.client import in_threads
from espalier.verdicts import concluded

Shares = tuple[float, ...]  # of each word; they add up to 1

YES_NO = ("yes", "no")
SUPPORT = ("fully", "partially", "no")
USE = ("1", "2", "3", "4", "5")

RETRIEVE = (
    "Is it necessary to look something up in documents to answer this question, or to go on with the answer to it that "
    "has begun? Reply with one word, yes or no."
)
RELEVANT = "Do the passages help to answer the question? Reply with one word, yes or no."
SUPPORTED = (
    "How much of the answer do the passages say: all of it, a part, or nothing? Reply with one word, fully, partially "
    "or no."
)
USEFUL = (
    "How useful is the answer to who asked the question? Reply with one number from 1, which is useless, to 5, which "
    "is complete and to the point."
)


def shares(logps: Sequence[float]) -> Shares:
    """exp(logp) over the sum of all of them; it may be small, for the words need not be what the model says first."""
    most = max(logps)
    if most == -math.inf:
        return (1 / len(logps),) * len(logps)
    weights = [math.exp(logp - most) for logp in logps]
    return tuple(weight / sum(weights) for weight in weights)


def signed(relevant: Shares) -> float:
    """p(yes) - p(no), which is tanh of half the log-odds: from -1, surely not, to 1, surely."""
    return relevant[0] - relevant[1]


@dataclass
class Critics:
    """Asks a model for one of a few words; by log-probabilities, and where there are none by what it says.

    Attributes:
        scored: whether there are log-probabilities, as far as is known.
    """

    lm: LM
    scored: bool = field(default=True, init=False)

    def judge(self, prompts: Sequence[str], words: Sequence[str]) -> list[Shares | None]:
        """The share of each word, for each prompt; None where the model said none of them."""
        if self.scored:
            try:
                return [shares(logps) for logps in self._logprobs(prompts, words)]
            except (ModelError, RecipeError):
                self.scored = False

        def ask(prompt: str) -> Shares | None:
            return _said(self.lm.complete(prompt, max_tokens=16)[0], words)

        return in_threads(ask, prompts, getattr(self.lm, "concurrency", 1))

    def relevant(self, question: str, hits: Sequence[Hit]) -> list[Shares | None]:
        """Of "yes" and "no", whether each passage helps to answer."""
        return self.judge([shown(question, [hit], RELEVANT) for hit in hits], YES_NO)

    def _logprobs(self, prompts: Sequence[str], words: Sequence[str]) -> list[list[float]]:
        if (many := getattr(self.lm, "logprobs_many", None)) is not None:
            found: list[list[float]] = many([(prompt, words) for prompt in prompts])
            return found

        def ask(prompt: str) -> list[float]:
            return self.lm.logprobs(prompt, words)

        return in_threads(ask, prompts, getattr(self.lm, "concurrency", 1))


@dataclass(frozen=True)
class Relevance:
    """A scorer of rows with query and document: how sure a model is that one helps to answer the other, -1 to 1."""

    lm: LM

    def score(self, rows: Sequence[Row]) -> Scores:
        """p(yes) - p(no) for each row."""
        prompts = [
            shown(row["query"], [Hit("", 0.0, row["document"], str(row.get("title") or ""))], RELEVANT) for row in rows
        ]
        found = Critics(self.lm).judge(prompts, YES_NO)
        return Scores(tuple(None if share is None else signed(share) for share in found))


def shown(question: str, hits: Sequence[Hit], asked: str, answer: str | None = None) -> str:
    """A prompt that shows passages, a question and perhaps an answer to it, each a line with a label of ours."""
    passages = [(hit.title, hit.text) for hit in hits]
    text = reading.prompt(question, passages, instruction=asked)
    lines = [text if hits else f"{asked}\n{text}"]
    return "\n".join(lines if answer is None else [*lines, f"{reading.ANSWER} {' '.join(answer.split())}"])


def _said(reply: str, words: Sequence[str]) -> Shares | None:
    found = re.findall(r"\w+", concluded(reply).casefold())
    first = next((word for word in found if word in words), None)
    return None if first is None else tuple(float(word == first) for word in words)
