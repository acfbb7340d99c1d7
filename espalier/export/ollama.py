"""Ollama: a GGUF file with a Modelfile beside it, whose Go template writes what the chat template writes.

The chat template is translated by measuring what it puts before, between and after the messages of a conversation;
the translation counts only if it renders whole conversations to the same text. Tools and reasoning are not translated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import jinja2

from espalier.errors import ModelError
from espalier.export.conversations import CONVERSATIONS, Message, Talk
from espalier.export.go_template import GoTemplate, quoted
from espalier.export.template import chat_text
from espalier.run import write_text

CONTEXT = 8192  # tokens: what a long context would cost in memory, Ollama would take at once
NAMES = {"system": "espalierone", "user": "espaliertwo", "assistant": "espalierthree", "again": "espalierfour"}
RAW = "{{ .Prompt }}"
GO = """\
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}
{{- if eq .Role "system" }}SYSTEM
{{- else if eq .Role "user" }}
{{- if eq $i 0 }}BEFORE_USER{{ end }}{{ .Content }}{{ if $last }}HEADER{{ else }}TO_ASSISTANT{{ end }}
{{- else if eq .Role "assistant" }}{{ .Content }}{{ if not $last }}TO_USER{{ end }}
{{- end }}
{{- end }}"""


@dataclass(frozen=True)
class Gaps:
    """What a chat template writes around the messages, the start token aside."""

    before_system: str
    after_system: str
    before_user: str
    to_assistant: str  # between a question and its answer
    to_user: str  # between an answer and the next question
    header: str  # after the last question
    system: bool

    def go(self) -> str:
        """The same as a Go template over .Messages."""
        texts = {name: value for name, value in vars(self).items() if isinstance(value, str)}
        put = {name.upper(): f"{{{{ {quoted(text)} }}}}" if text else "" for name, text in texts.items()}
        put["SYSTEM"] = put["BEFORE_SYSTEM"] + "{{ .Content }}" + put["AFTER_SYSTEM"] if self.system else ""
        return re.sub(r"\b[A-Z_]{4,}\b", lambda found: put[found[0]], GO)


def translated(tokenizer: Any, template: str, talks: Sequence[Talk]) -> str:
    """A chat template as a Go template.

    Args:
        tokenizer: whose special tokens the template uses.
        template: in Jinja.
        talks: conversations that both must render alike, beside longer ones.

    Raises:
        ModelError: it does not write conversations as a sequence of messages, so that no translation is known.
    """
    try:
        go = _measured(tokenizer, template).go()
        question, answer = CONVERSATIONS["single turn"]
        trials = [talk.asked for talk in talks] + [[question, answer, question, answer, question]]
        for messages in trials:
            theirs, ours = chat_text(tokenizer, messages, template), rendered(go, messages)
            if theirs != ours:
                at = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(theirs, ours, strict=False)))
                raise ValueError(f"it writes {theirs[at : at + 40]!r}, a sequence of messages {ours[at : at + 40]!r}")
    except (ValueError, jinja2.TemplateError) as error:
        raise ModelError(
            f"the chat template cannot be translated for Ollama: {str(error).rstrip('.')}. With --raw the Modelfile "
            "has no template, and whoever asks writes the whole prompt."
        ) from error
    return go


def rendered(go: str, messages: Sequence[Message]) -> str:
    """What Ollama makes of messages."""
    items = [{"Role": message["role"], "Content": message["content"]} for message in messages]
    return GoTemplate(go).render(Messages=items)


def _measured(tokenizer: Any, template: str) -> Gaps:
    """What is written around stand-ins for the messages.

    Raises:
        ValueError: not the same wherever it is measured.
    """
    turns = [
        {"role": role if role in ("system", "user", "assistant") else "user", "content": text}
        for role, text in NAMES.items()
    ]

    def around(messages: list[Message]) -> list[str]:
        marks = [message["content"] for message in messages]
        text = chat_text(tokenizer, messages, template)
        if re.findall("|".join(NAMES.values()), text) != marks:
            raise ValueError("it leaves out, moves or changes messages")
        return re.split("|".join(marks), text)

    before_user, to_assistant, to_user, header = around(turns[1:])
    try:
        before, after, *rest = around(turns)
    except jinja2.TemplateError:  # it takes no system message
        return Gaps("", "", before_user, to_assistant, to_user, header, False)
    if rest != [to_assistant, to_user, header]:
        raise ValueError("a system message changes how later turns are written")
    return Gaps(before, after, before_user, to_assistant, to_user, header, True)


def write_modelfile(folder: Path, gguf: str, template: str, stops: Sequence[str], context: int) -> None:
    """Write the Modelfile.

    Raises:
        ModelError: the template cannot stand in one.
    """
    if '"""' in template:
        raise ModelError('the template holds """, which no Modelfile can. Use --raw.')
    lines = [f"FROM ./{gguf}", f'TEMPLATE """{template}"""', *(f"PARAMETER stop {quoted(stop)}" for stop in stops)]
    write_text(folder / "Modelfile", "\n".join([*lines, f"PARAMETER num_ctx {min(context, CONTEXT)}"]) + "\n")
