"""What a client asks for, checked; what cannot be is refused with a status and one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from espalier.errors import EspalierError, ModelError, RunError
from espalier.lm.generate import Sampling
from espalier.messages import Message

MOST_TOKENS = 512  # of an answer, where the client does not say
MOST_SAMPLES, MOST_STOPS, MOST_TEXTS = 16, 4, 2048
KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class RequestError(EspalierError):
    """A request that is not answered: its status in HTTP, and the sentence.

    Args:
        sentence: what is wrong.
        status: 400 for what the client should have said otherwise.
        wait: seconds after which it may try again.
    """

    def __init__(self, sentence: str, status: int = 400, *, wait: int | None = None) -> None:
        super().__init__(sentence)
        self.status, self.wait = status, wait


def status_of(problem: Exception) -> int:
    """The status that says whose fault something is."""
    if isinstance(problem, RequestError):
        return problem.status
    if isinstance(problem, RunError):
        return 503
    if isinstance(problem, ModelError):
        return 502
    return 400 if isinstance(problem, EspalierError) else 500


def error_of(problem: Exception) -> dict[str, Any]:
    """A problem as OpenAI's protocol tells it; a bug of ours shows nothing of itself."""
    status = status_of(problem)
    said = str(problem) if isinstance(problem, EspalierError) else "the server failed; its log says more."
    kind = KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    return {"error": {"message": said, "type": kind, "param": None, "code": None}}


@dataclass(frozen=True)
class Asked:
    """A request for completions, of a chat or of a text."""

    model: str
    prompt: str | tuple[Message, ...]
    sampling: Sampling
    n: int = 1
    stops: tuple[str, ...] = ()
    stream: bool = False
    usage: bool = False  # a last event that counts tokens
    logprobs: bool = False

    @property
    def chat(self) -> bool:
        """Whether it is a conversation."""
        return not isinstance(self.prompt, str)


def table_of(data: bytes) -> dict[str, Any]:
    """The body of a request.

    Raises:
        RequestError: it is no JSON object.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise RequestError("the body is not JSON.") from None
    if not isinstance(found, dict):
        raise RequestError("the body is not a JSON object.")
    return found


def asked_of(body: Mapping[str, Any], *, chat: bool) -> Asked:
    """A request for completions.

    Args:
        body: what was sent.
        chat: whether it should hold messages.

    Raises:
        RequestError: a field that cannot be, named.
    """
    options = body.get("stream_options") or {}
    most = body.get("max_completion_tokens")
    sampling = Sampling(
        _number(body, "temperature", 1.0, 0.0, 100.0),
        _number(body, "top_p", 1.0, 1e-6, 1.0),
        _whole(body if most is None else {"max_tokens": most}, "max_tokens", MOST_TOKENS, 1, 1 << 20),
        _whole(body, "seed", 0, -(1 << 63), (1 << 63) - 1),
    )
    for name in ("tools", "functions", "audio"):
        if body.get(name):
            raise RequestError(f"{name!r} is not offered here; leave it out.")
    if (body.get("response_format") or {"type": "text"}) != {"type": "text"}:
        raise RequestError("'response_format' can only be text here.")
    return Asked(
        _text(body, "model"),
        _messages(body.get("messages")) if chat else _text(body, "prompt"),
        sampling,
        _whole(body, "n", 1, 1, MOST_SAMPLES),
        _stops(body.get("stop")),
        _flag(body, "stream"),
        _flag(options, "include_usage") if isinstance(options, Mapping) else False,
        bool(body.get("logprobs")) or (body.get("logprobs") == 0 and not chat),
    )


def texts_of(body: Mapping[str, Any]) -> list[str]:
    """The texts that are to be embedded.

    Raises:
        RequestError: there are none, too many, or they are none.
    """
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise RequestError("'input' must be a text or a list of texts, none of them empty; token ids are not taken.")
    if len(texts) > MOST_TEXTS:
        raise RequestError(f"'input' has {len(texts):,} texts; send at most {MOST_TEXTS:,} at once.")
    return texts


def _messages(given: Any) -> tuple[Message, ...]:
    if not isinstance(given, list) or not given:
        raise RequestError("'messages' must be a list of at least one message.")
    found: list[Message] = []
    for number, message in enumerate(given, 1):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise RequestError(f"message {number} is not an object with 'role' and 'content'.")
        if not isinstance(message.get("content"), str | list | None):
            raise RequestError(f"message {number}: 'content' must be a text or a list of parts.")
        for part in message["content"] if isinstance(message.get("content"), list) else []:
            if (
                not isinstance(part, dict)
                or part.get("type", "text") != "text"
                or not isinstance(part.get("text"), str)
            ):
                raise RequestError(f"message {number} has a part that is no text; only text is read here.")
        role = "system" if message["role"] == "developer" else message["role"]
        found.append({**message, "role": role})
    if found[-1]["role"] == "assistant":
        raise RequestError("the last message is the assistant's; end with the user's.")
    return tuple(found)


def _stops(given: Any) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else given or []
    if not isinstance(stops, list) or len(stops) > MOST_STOPS or not all(isinstance(stop, str) for stop in stops):
        raise RequestError(f"'stop' must be a text or a list of at most {MOST_STOPS}.")
    return tuple(filter(None, stops))


def _text(body: Mapping[str, Any], name: str) -> str:
    found = body.get(name)
    if not isinstance(found, str) or not found:
        raise RequestError(f"{name!r} must be a text that is not empty.")
    return found


def _flag(body: Mapping[str, Any], name: str) -> bool:
    found = body.get(name)
    if not isinstance(found, bool | None):
        raise RequestError(f"{name!r} must be true or false.")
    return bool(found)


def _number(body: Mapping[str, Any], name: str, default: float, least: float, most: float) -> float:
    found = body.get(name)
    found = default if found is None else found
    if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found <= most:
        raise RequestError(f"{name!r} must be a number from {least:g} to {most:g}.")
    return float(found)


def _whole(body: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    found = body.get(name)
    found = default if found is None else found
    if isinstance(found, bool) or not isinstance(found, int) or not least <= found <= most:
        raise RequestError(f"{name!r} must be a whole number from {least:,} to {most:,}.")
    return found


def last_turn(messages: Sequence[Message]) -> int:
    """Where the last turn of the user is.

    Raises:
        RequestError: there is none.
    """
    for at in range(len(messages) - 1, -1, -1):
        if messages[at]["role"] == "user":
            return at
    raise RequestError("no message is the user's; there is no question.")
