"""A question put to a strategy, its reply shown while it is written where the strategy reads once."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from espalier.contracts import LM, Answer, Citation, Strategy
from espalier.messages import Message, text_of
from espalier.reading import ANSWER
from espalier.serve.requests import RequestError, last_turn
from espalier.serve.sources import HEADING, unmarked, within

EXCHANGES = 2  # earlier questions that a question is understood by
LONGEST_QUESTION, LONGEST_EARLIER = 8_000, 300  # characters
_ANSWER = re.compile(rf"^\s*{ANSWER}[ \t]*(.*)$", re.MULTILINE)
_UNSURE = re.compile(r"\s*(\[\w{0,4})?$")  # what may become a mark, or the white space at the end


def solve(
    strategy: Strategy,
    lm: LM,
    question: str,
    say: Callable[[str], None],
    *,
    note: Callable[[str], None] = lambda sentence: None,
) -> Answer:
    """A strategy's answer.

    Args:
        strategy: answers. One that has `ask` and `conclude` reads once, and its reply can be shown as it comes.
        lm: what it asks.
        question: as it was asked.
        say: called with each bit of such a reply; of other strategies nothing is shown before the end.
        note: called with what is worth telling before it.
    """
    reads: Any = strategy
    stream = getattr(lm, "stream", None)
    if stream is None or not (hasattr(reads, "ask") and hasattr(reads, "conclude")):
        return _placed(strategy.solve(question))
    asked = reads.ask(question)
    if asked.hits and asked.note:
        note(asked.note)
    reply = []
    if asked.hits:
        for piece in stream(asked.prompt, temperature=0.0, max_tokens=reads.max_tokens):
            reply.append(piece)
            say(piece)
    answer: Answer = reads.conclude(asked, "".join(reply))
    return _placed(answer)


def _placed(answer: Answer) -> Answer:
    """The answer with each citation's page or slide, which its passage knows."""

    def place(citation: Citation) -> str:
        inside = [hit for hit in answer.hits if within(citation, hit)]
        return citation.place or (inside[0].place if inside else "")

    return replace(answer, citations=tuple(replace(citation, place=place(citation)) for citation in answer.citations))


class Spoken:
    """What of a reply is shown as the answer while it is written: the line behind "Answer:"."""

    def __init__(self) -> None:
        self.reply = self.said = ""

    def add(self, piece: str) -> str:
        """What a bit of the reply adds to it."""
        self.reply += piece
        found = _ANSWER.search(self.reply)
        if found is None:
            return ""
        line = unmarked(found[1])
        new = line[: len(_UNSURE.sub("", line))][len(self.said) :]
        self.said += new
        return new

    def rest(self, answer: str) -> str:
        """What is missing to the whole answer; on a line of its own where the reply took another turn."""
        whole = unmarked(answer)
        if whole.startswith(self.said):
            return whole[len(self.said) :]
        return f"\n{whole}"


def question_of(messages: Sequence[Message]) -> str:
    """The question in a conversation: the user's last turn, behind what was asked and answered just before.

    Raises:
        RequestError: there is none, or it is too long.
    """
    at = last_turn(messages)
    question = text_of(messages[at]).strip()
    if not question:
        raise RequestError("the last message of the user is empty; write a question.")
    if len(question) > LONGEST_QUESTION:
        raise RequestError(f"the question has {len(question):,} characters; ask in at most {LONGEST_QUESTION:,}.")
    turns = [message for message in messages[:at] if message["role"] in ("user", "assistant")]
    earlier = " ".join(_shortened(text_of(turn)) for turn in turns[-2 * EXCHANGES :])
    return f"(Before: {earlier}) {question}" if earlier.strip() else question


def _shortened(text: str) -> str:
    """A turn without the list of its sources, and not too long."""
    line = " ".join(unmarked(text.partition(f"\n{HEADING}\n")[0]).split())
    return line if len(line) <= LONGEST_EARLIER else f"{line[:LONGEST_EARLIER]}..."
