"""Cases: rows ready to be measured. What a row holds decides what can be measured on it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from espalier import reading
from espalier.contracts import Prompt, Row
from espalier.errors import RowError
from espalier.evaluation.questions import Passage, accepted, is_question, passages_of
from espalier.messages import answers_of, history_of, is_target, reasoning_of, text_of
from espalier.render import Ids, Rendered, Renderer


@dataclass(frozen=True)
class Case:
    """A row, and what to do with it.

    Attributes:
        kind: options, preference, completion, messages, question, text or prompt.
        prompt: what to generate from; None if nothing is to be generated.
        targets: texts whose likelihood after the prompt counts.
        references: texts a generated answer is compared with.
        answer: number of the right option.
        passages: what is shown beside a question.
    """

    row: Row
    kind: str
    prompt: Prompt | None = None
    targets: tuple[str | Sequence[Mapping[str, Any]], ...] = ()
    references: tuple[str, ...] = ()
    answer: int = -1
    passages: tuple[Passage, ...] = ()

    @property
    def key(self) -> str:
        """A fingerprint by which two evaluations find their common rows."""
        return fingerprint(self.row)

    @property
    def question(self) -> str:
        """The last thing the user says, or the prompt."""
        if self.kind == "question":
            return str(self.row["question"])
        if self.prompt is None or isinstance(self.prompt, str):
            return self.prompt or ""
        asked = [text_of(message) for message in self.prompt if message.get("role") == "user"]
        return asked[-1] if asked else ""

    @property
    def shown(self) -> str:
        """The prompt, or the beginning of a text, for a report."""
        if self.prompt is None:
            return str(self.row.get("text", ""))[:500]
        if self.kind == "question":
            return self.question
        if isinstance(self.prompt, str):
            return self.prompt
        return "\n\n".join(f"{message.get('role')}: {text_of(message)}" for message in self.prompt)

    @property
    def expected(self) -> str:
        """The right answer, for a report."""
        if self.kind == "options":
            return str(self.targets[self.answer])
        if self.kind == "preference":
            return said(self.targets[0])
        return self.references[0] if self.references else ""

    def show(self, passages: Sequence[Passage]) -> Case:
        """The same question with these passages beside it."""
        shown = [(" ".join(passage.title.split()), passage.text) for passage in passages]
        return replace(self, prompt=reading.prompt(self.question, shown), passages=tuple(passages))

    def start(self, renderer: Renderer) -> Ids:
        """The prompt as token ids. [L]"""
        return renderer.prompt(self.prompt or "", self.row.get("tools"))

    def paths(self, renderer: Renderer) -> list[Rendered]:
        """The targets as token ids, each after its prompt; for messages and text, what counts in them."""
        tools = self.row.get("tools")
        if self.kind == "messages":
            return renderer.conversation(self.row["messages"], tools)
        if self.kind == "text":
            return [renderer.text(self.row["text"])]
        return [renderer.completion(self.prompt or "", target, tools) for target in self.targets]


def fingerprint(row: Mapping[str, Any]) -> str:
    """The same for the same content, wherever the row stands."""
    return hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()[:16]


def case_of(row: Row) -> Case:
    """What can be measured on a row.

    Raises:
        RowError: nothing, or a field does not fit.
    """
    prompt, references = row.get("prompt"), accepted(row)
    if row.get("messages") is not None:
        return _conversation(row)
    if is_question(row):
        return Case(row, "question", references=references).show(passages_of(row))
    if prompt is None and row.get("text") is not None:
        return Case(row, "text")
    if prompt is None:
        raise RowError("missing 'prompt'; an evaluation needs prompt, messages, question or text")
    if row.get("options") is not None:
        options = _options(row["options"])
        return Case(row, "options", prompt, options, answer=_number(row.get("answer"), options))
    if row.get("chosen") is not None and row.get("rejected") is not None:
        return Case(row, "preference", prompt, (row["chosen"], row["rejected"]))
    if row.get("completion") is not None and row.get("label") is False:
        raise RowError("a completion that is labelled as bad is no target")
    if row.get("completion") is not None:
        return Case(row, "completion", prompt, (row["completion"],), references or (said(row["completion"]),))
    return Case(row, "prompt", prompt, (), references)


def counted(path: Rendered) -> int:
    """How many of a path's tokens are scored; the first of all has nothing before it."""
    return int(np.count_nonzero(path.mask[1:]))


def _conversation(row: Row) -> Case:
    turns = [number for number, message in enumerate(row["messages"]) if is_target(message)]
    if not turns:
        raise RowError("no assistant message")
    history, last = history_of(row["messages"][: turns[-1]]), row["messages"][turns[-1]]
    return Case(row, "messages", history, references=accepted(row) or (reasoning_of(last)[1],))


def said(completion: str | Sequence[Mapping[str, Any]]) -> str:
    """What a completion says at its end, without its reasoning."""
    return reasoning_of(answers_of(completion)[-1])[1]


def _options(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list | tuple) or len(given) < 2:
        raise RowError("'options' is not a list of two or more texts")
    return tuple(map(str, given))


def _number(answer: Any, options: Sequence[str]) -> int:
    """Which option is right: given by its number from 0, its text, or its letter."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(options)]
    if isinstance(answer, int) and not isinstance(answer, bool) and 0 <= answer < len(options):
        return answer
    if str(answer) in options:
        return options.index(str(answer))
    if isinstance(answer, str) and len(answer) == 1 and answer in letters:
        return letters.index(answer)
    raise RowError("'answer' is neither the number of an option (from 0), nor its text, nor its letter")
