"""Messages as data brings them: reasoning under several names, tool calls as text, parts instead of a string."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from espalier.contracts import Prompt
from espalier.errors import RowError
from espalier.tokens import quote

Message = Mapping[str, Any]
REASONING = ("reasoning_content", "thinking", "reasoning")  # the keys in use, the commonest first


def is_assistant(message: Any) -> bool:
    """Whether a message is the model's."""
    return isinstance(message, Mapping) and message.get("role") == "assistant"


def is_target(message: Any) -> bool:
    """Whether a message is the model's and may be trained."""
    return is_assistant(message) and message.get("train") is not False


def text_of(message: Message) -> str:
    """The text of a message whose content is a string, a list of parts, or missing."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))


def thought(text: str) -> tuple[str, str]:
    """What stands in the <think> marks a text begins with (the first mark may be missing), and what follows them."""
    head, closed, rest = text.partition("</think>")
    inner = head.lstrip().removeprefix("<think>")
    return (inner.strip(), rest.lstrip()) if closed and "<think>" not in inner else ("", text)


def reasoning_of(message: Message) -> tuple[str, str]:
    """An assistant message's reasoning, from a key of its own or from the marks in its content, and its answer."""
    named = next((str(message[key]) for key in REASONING if message.get(key)), "")
    return (named.strip(), text_of(message)) if named else thought(text_of(message))


def history_of(prompt: Prompt) -> list[Message]:
    """A prompt as messages; text is one user message."""
    if isinstance(prompt, str):
        return [{"role": "user", "content": prompt}]
    if not isinstance(prompt, list | tuple):
        raise RowError(f"the prompt is {type(prompt).__name__}, neither text nor a list of messages.")
    if prompt and is_assistant(prompt[-1]):
        raise RowError("the prompt ends in an assistant message; move that message to the completion.")
    return list(prompt)


def answers_of(completion: str | Sequence[Message]) -> list[Message]:
    """A completion as messages; text is one assistant message."""
    answers: list[Message] = [{"role": "assistant", "content": completion}]
    if not isinstance(completion, str):
        answers = list(completion)
    if not answers or not is_assistant(answers[0]):
        raise RowError("the completion does not begin with an assistant message; move what precedes it to the prompt.")
    return answers


def answer_of(completion: str | Sequence[Message]) -> str:
    """A completion as text, for a prompt that is text."""
    answers = answers_of(completion)
    if len(answers) > 1:
        raise RowError("a prompt that is plain text takes one assistant message; give the prompt as messages too.")
    return text_of(answers[0])


def parts_of(message: Message, thinking: bool) -> Iterator[tuple[str, str]]:
    """What of an assistant turn must stand in its rendering: reasoning, content, the names of the tools it calls."""
    reasoning, answer = reasoning_of(message)
    if thinking:
        yield "reasoning", reasoning
    content = message.get("content")
    texts = [text_of({"content": [part]}) for part in content] if isinstance(content, list | tuple) else [answer]
    yield from (("content", text.strip()) for text in texts)
    for call in message.get("tool_calls") or ():
        yield "tool call", str(call.get("function", call).get("name", ""))


def clean(messages: Sequence[Message], *, reasoning: bool, control: re.Pattern[str]) -> list[dict[str, Any]]:
    """Messages as templates expect them.

    Args:
        messages: as the row has them.
        reasoning: whether assistant messages keep their reasoning.
        control: tokens that count as text where a message contains them.

    Raises:
        RowError: names the message that is none.
    """
    return [quote(_clean(number, message, reasoning), control) for number, message in enumerate(messages, 1)]


def _clean(number: int, message: Message, keep: bool) -> dict[str, Any]:
    if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
        raise RowError(f"message {number} is not a table with 'role' and 'content'; map the columns first.")
    if not isinstance(message.get("content"), str | list | tuple | None):
        raise RowError(f"message {number}: 'content' is {message['content']!r}, neither text nor a list of parts.")
    kept = {key: value for key, value in message.items() if value is not None and key != "train"}
    if is_assistant(kept):
        reasoning, answer = reasoning_of(kept)
        named = any(kept.get(key) for key in REASONING)
        if reasoning and not keep:
            kept = {key: value for key, value in kept.items() if key not in REASONING} | {"content": answer}
        elif named:
            kept |= {"reasoning_content": reasoning, "thinking": reasoning}  # templates read one or the other
    if kept.get("tool_calls"):
        kept["tool_calls"] = [_call(number, call) for call in kept["tool_calls"]]
    return kept


def _call(number: int, call: Any) -> dict[str, Any]:
    """A tool call with its arguments as a table: templates write them as JSON, a string would be escaped twice."""
    inner = call.get("function", call) if isinstance(call, Mapping) else None
    if not isinstance(inner, Mapping):
        raise RowError(f"message {number}: a tool call is {call!r}; expected a table with 'function'.")
    if isinstance(inner.get("arguments"), str):
        with suppress(json.JSONDecodeError):  # text that is no JSON stays text
            inner = {**inner, "arguments": json.loads(inner["arguments"])}
    return {**call, "function": inner} if "function" in call else dict(inner)
