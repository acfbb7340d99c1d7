"""Answering from passages: how passages and a question become a prompt, and how a reply is taken apart.

Each sentence has a label, passage and letter. A reply quotes the sentences it rests on, label first, before it gives
the answer; so each can be found in the passages, and a small model need not say which before it has pointed at it:

    [1] Belmi Dorvan
    [1a] Belmi Dorvan was born in Kastel in 1874.
    [1b] Belmi Dorvan worked as a mason.
    Question: Where was Belmi Dorvan born?

    Quote: [1a] Belmi Dorvan was born in Kastel in 1874.
    Answer: Kastel
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

from espalier.knowledge.chunks import sentences

INSTRUCTION = (
    "Answer from the passages. Quote the sentences that answer the question, each with its label, then give the "
    "answer. If no passage does, the answer is: not stated."
)
ABSTAINED = "not stated"
QUOTE, ANSWER, QUESTION = "Quote:", "Answer:", "Question:"
_POINT = re.compile(r"^(?:[#>*+-]+\s+)+")  # Markdown's marks of headings, quotations and points
_LABEL = re.compile(r"^\[\d+[a-z]?\]\s*")

Shown = Sequence[tuple[str, str]]  # title, which may be empty, and text of each passage


@dataclass(frozen=True)
class Reading:
    """A reply taken apart."""

    answer: str
    quotes: tuple[str, ...] = ()

    @property
    def short(self) -> str:
        """The answer's first line, to be compared with a short answer."""
        return self.answer.strip().partition("\n")[0].strip()

    @property
    def abstained(self) -> bool:
        """Whether it says that the passages do not tell, or says nothing at all."""
        return self.short.rstrip(".").casefold() in ("", ABSTAINED)


def prompt(question: str, passages: Shown, *, instruction: str = INSTRUCTION) -> str:
    """What a model reads: the instruction, the passages, the question.

    Args:
        question: as it was asked.
        passages: best first; none at all asks closed-book.
        instruction: stands before the passages.
    """
    asked = f"{QUESTION} {_line(question)}"
    if not passages:
        return asked
    lines = [instruction]
    for number, (title, text) in enumerate(passages, 1):
        lines.append(f"[{number}] {_line(title)}".rstrip())
        lines += [f"[{label}] {sentence}" for label, sentence in labeled(number, text)]
    return "\n".join((*lines, asked))


def labeled(number: int, text: str) -> list[tuple[str, str]]:
    """The sentences of a passage with their labels: 2a, 2b, ...; what comes after the last letter belongs to it."""
    found = [_POINT.sub("", _line(text[start:end])) for start, end in spans(text)]
    return [(f"{number}{letter}", sentence) for letter, sentence in zip(ascii_lowercase, found, strict=False)]


def spans(text: str) -> list[tuple[int, int]]:
    """Where those sentences stand, text[start:end], in the same order."""
    found = list(sentences(text))
    last = len(ascii_lowercase) - 1
    return [*found[:last], (found[last][0], found[-1][1])] if len(found) > last + 1 else found


def reply(answer: str, quotes: Sequence[str] = (), passages: Shown = ()) -> str:
    """What a model should write; an answer without quotes abstains or was asked closed-book.

    Args:
        answer: the answer.
        quotes: the sentences it rests on.
        passages: what was shown: each quote is given the label that it has there.
    """
    labels = {sentence: label for n, (_, text) in enumerate(passages, 1) for label, sentence in labeled(n, text)}
    lines = [
        f"{QUOTE} [{labels[_line(quote)]}] {quote}" if _line(quote) in labels else f"{QUOTE} {quote}"
        for quote in quotes
    ]
    return "\n".join((*lines, f"{ANSWER} {answer}"))


def read(text: str) -> Reading:
    """Take a reply apart, without labels; one that does not keep to the form is all answer.

    The last answer counts, with the lines that follow it, up to a further question that the model asks itself.
    """
    quotes: list[str] = []
    loose: list[str] = []  # lines of no form
    answer: list[str] | None = None
    for line in text.strip().splitlines():
        bare = line.strip()
        if bare.startswith(QUOTE):
            quotes.append(_LABEL.sub("", bare.removeprefix(QUOTE).strip()))
        elif bare.startswith(ANSWER):
            answer = [bare.removeprefix(ANSWER).strip()]
        elif answer is None:
            loose.append(bare)
        elif bare.startswith(QUESTION):
            break
        else:
            answer.append(line.rstrip())
    return Reading(" ".join(loose) if answer is None else "\n".join(answer).strip(), tuple(quotes))


def _line(text: str) -> str:
    return " ".join(text.split())
