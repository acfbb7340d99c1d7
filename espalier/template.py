"""Chat templates as text: what a model sees before an assistant turn, and what it should write.

Spans come from the construction, never from searching for token ids: a turn's target is what the template adds to its
own generation prompt when the turn is there. The end of the turn is found once, with a stand-in for the answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import jinja2

from espalier.errors import ModelError, RowError
from espalier.messages import REASONING, Message, clean, parts_of, reasoning_of, thought
from espalier.tokens import alternatives, quote

STAND_IN = "espalier"

PLAIN = """\
{%- macro text(content) -%}
{{- content if content is string else content | map(attribute="text") | join -}}
{%- endmacro -%}
{%- if tools %}{{- "Tools: " + tools | tojson + "\\n\\n" }}{% endif -%}
{%- for message in messages -%}
{%- set content = text(message.content or "") -%}
{%- if message.role == "system" %}{{- content }}
{%- else %}{{- message.role | capitalize + ":" + (" " + content if content else "") }}{% endif -%}
{%- if message.tool_calls %}{{- " " + message.tool_calls | tojson }}{% endif -%}
{%- if message.role == "assistant" %}{{- eos_token }}{% endif -%}
{{- "\\n\\n" -}}
{%- endfor -%}
{%- if add_generation_prompt %}{{- "Assistant:" }}{% endif -%}
"""


@dataclass(frozen=True)
class Turn:
    """One assistant turn as text; `closed` is False where the template puts no end token after it."""

    prompt: str
    target: str
    closed: bool


class ChatTemplate:
    """A tokenizer's chat template, or another one in its place.

    Attributes:
        end: the text that ends an assistant turn, "" if nothing does.
        closed: whether that text is a token of its own.
        switches: whether the template can turn thinking on and off.
    """

    def __init__(self, tokenizer: Any, source: str | None, added: set[str], special: set[str]):
        self.tokenizer, self.source, self.added = tokenizer, source, alternatives(added)
        text = json.dumps(source or tokenizer.chat_template)
        self.marks = bool(tokenizer.is_fast and re.search(r"\{%-?\s*generation\b", text))
        self.control = alternatives(())
        user, answer = {"role": "user", "content": "?"}, {"role": "assistant", "content": STAND_IN}
        try:
            talk = self.text([user, answer], header=False)
            on, off = (self.text([user], thinking=thinking) for thinking in (True, False))
        except RowError as error:
            raise ModelError(f"{error} Even one question and its answer fail: give another template.") from error
        self.switches = on != off
        self.closing = talk.rpartition(STAND_IN)[2]
        ended = re.search(f"(?:{self.added.pattern})+", self.closing)  # some models end with two tokens
        self.end, self.closed = (ended[0], True) if ended else (self.closing.strip(), False)
        # Other special tokens (images, code, tools) may be meant: only those that shape a conversation are quoted.
        shape = {token for token in special if token in talk + on + off} | {*self.added.findall(self.closing)}
        self.control = alternatives(
            (shape | {tokenizer.bos_token, tokenizer.eos_token}) - {None, "<think>", "</think>"}
        )

    def text(
        self, messages: Sequence[Message], tools: Any = None, *, thinking: bool = True, header: bool = True
    ) -> str:
        """What the template writes, with the header of the next assistant turn unless told otherwise."""
        return str(self._apply(messages, tools, thinking, tokenize=False, add_generation_prompt=header))

    def marked(self, messages: Sequence[Message], tools: Any, thinking: bool) -> tuple[list[int], list[int]]:
        """Ids and 1 for each token inside {% generation %}."""
        options = {"verbose": False, "return_offsets_mapping": True}
        found = self._apply(
            messages, tools, thinking, return_dict=True, return_assistant_tokens_mask=True, tokenizer_kwargs=options
        )
        inside, spans = list(found["assistant_masks"]), found["offset_mapping"]
        for number in range(1, len(inside)):  # transformers forgets all but the first byte of the last character
            inside[number] |= inside[number - 1] and spans[number][0] < spans[number - 1][1]
        return list(found["input_ids"]), inside

    def clean(self, messages: Sequence[Message], thinking: bool) -> list[dict[str, Any]]:
        """Messages ready for the template; reasoning goes if thinking is off and the template can switch it off."""
        return clean(messages, reasoning=thinking or not self.switches, control=self.control)

    def turn(self, history: Sequence[Message], message: Message, tools: Any, thinking: bool) -> Turn:
        """What the model sees before `message`, and what it should write; all messages cleaned."""
        prompt = self.text(history, tools, thinking=thinking)
        body = self._body(prompt, history, message, tools, thinking)
        reasoning, answer = reasoning_of(message)
        if thinking and not self.switches and reasoning not in body:  # knows no reasoning: write it the usual way
            bare = {key: value for key, value in message.items() if key not in REASONING}
            written = {**bare, "content": f"<think>\n{reasoning}\n</think>\n\n{answer}"}
            body = self._body(prompt, history, written, tools, thinking)
        for name, part in parts_of(message, thinking):
            if part not in body:
                raise RowError(
                    f"the chat template leaves out or changes the {name} of an assistant turn, {part[:60]!r}: "
                    "training would miss it. Use another template, or take it out of the row."
                )
        return self._cut(prompt, body)

    def _body(self, prompt: str, history: Sequence[Message], message: Message, tools: Any, thinking: bool) -> str:
        """What the template writes after `prompt` when the turn is there."""
        whole = self.text([*history, message], tools, thinking=thinking, header=False)
        if whole.startswith(prompt):
            return whole[len(prompt) :]
        # The header may hold reasoning marks that the template does not repeat in a finished turn.
        stand_in = {"role": "assistant", "content": STAND_IN}
        finished = self.text([*history, stand_in], tools, thinking=thinking, header=False).rpartition(STAND_IN)[0]
        shared = takewhile(lambda pair: pair[0] == pair[1], zip(prompt, finished, strict=False))
        stem = "".join(letter for letter, _ in shared)
        tail, between, body = (text[len(stem) :] for text in (prompt, finished, whole))
        opened = tail.strip() == "<think>"
        marks_only = [text for text in (tail * (not opened), between) if "".join(thought(text)).strip()]
        if marks_only or not whole.startswith(stem):
            raise RowError(
                "the chat template writes the conversation differently before and after an answer "
                f"({prompt[-40:]!r} is not how the finished turn begins). Use another template."
            )
        answer = thought(body)[1]
        reasoning = reasoning_of(message)[0] if thinking else ""
        return f"{reasoning}\n</think>\n\n{answer}" if opened else answer

    def _cut(self, prompt: str, body: str) -> Turn:
        """The turn up to its end token: what the template writes after it belongs to no turn."""
        if self.closed and self.end in body:
            return Turn(prompt, body[: body.rindex(self.end) + len(self.end)], True)
        last = [found.end() for found in self.added.finditer(body)][-1:]
        if self.closed and last and not body[last[0] :].strip():  # another end, such as that of a tool call
            return Turn(prompt, body[: last[0]], True)
        blank = len(self.closing) - len(self.closing.rstrip())
        return Turn(prompt, body[: len(body) - blank] if body.endswith(self.closing) else body, False)

    def _apply(self, messages: Sequence[Message], tools: Any, thinking: bool, **more: Any) -> Any:
        switch = {"enable_thinking": thinking, "thinking": thinking}
        tools = quote(tools, self.control)
        try:
            return self.tokenizer.apply_chat_template(
                list(messages), tools=tools, chat_template=self.source, **switch, **more
            )
        except (jinja2.TemplateError, TypeError, ValueError, KeyError, AttributeError, IndexError) as error:
            raise RowError(f"the chat template refuses this conversation: {str(error).rstrip('.')}.") from error
