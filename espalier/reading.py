"""Answering from passages: how passages and a question become a prompt, and how a reply is taken apart.

A reply quotes the sentences it rests on before it gives the answer, so that each can be found in the passages:

    Quote: Belmi Dorvan was born in Kastel in 1874.
    Answer: Kastel
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

INSTRUCTION = (
    "Answer from the passages. Quote the sentences that answer the question, then give the answer. "
    "If no passage does, the answer is: not stated."
)
ABSTAINED = "not stated"
QUOTE, ANSWER, QUESTION = "Quote:", "Answer:", "Question:"


@dataclass(frozen=True)
class Reading:
    """A reply taken apart."""

    answer: str
    quotes: tuple[str, ...] = ()

    @property
    def abstained(self) -> bool:
        """Whether it says that the passages do not tell, or says nothing at all."""
        return self.answer.strip().rstrip(".").casefold() in ("", ABSTAINED)


def prompt(question: str, passages: Sequence[tuple[str, str]], *, instruction: str = INSTRUCTION) -> str:
    """What a model reads: the instruction, the passages, the question.

    Args:
        question: as it was asked.
        passages: title (may be empty) and text of each, best first; none at all asks closed-book.
        instruction: stands before the passages.
    """
    asked = f"{QUESTION} {' '.join(question.split())}"
    if not passages:
        return asked
    shown = [
        f"[{number}] {f'{title}: ' if title else ''}{' '.join(text.split())}"
        for number, (title, text) in enumerate(passages, 1)
    ]
    return "\n".join((instruction, *shown, asked))


def reply(answer: str, quotes: Sequence[str] = ()) -> str:
    """What a model should write; an answer without quotes abstains or was asked closed-book."""
    return "\n".join((*(f"{QUOTE} {quote}" for quote in quotes), f"{ANSWER} {answer}"))


def read(text: str) -> Reading:
    """Take a reply apart; one that does not keep to the form is all answer."""
    lines = [line.strip() for line in text.strip().splitlines()]
    quotes = tuple(line.removeprefix(QUOTE).strip() for line in lines if line.startswith(QUOTE))
    answers = [line.removeprefix(ANSWER).strip() for line in lines if line.startswith(ANSWER)]
    if answers:
        return Reading(answers[-1], quotes)
    return Reading(" ".join(line for line in lines if not line.startswith(QUOTE)), quotes)
