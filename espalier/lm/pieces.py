"""The text of each token of an answer, so that the texts together are the answer."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def spelled(decode: Callable[[Sequence[int]], str], ids: Sequence[int]) -> tuple[str, ...]:
    """The text of each token; a character that several tokens share belongs to the last of them.

    Args:
        decode: text of ids that continue a text.
        ids: an answer, without its end token.
    """
    found: list[str] = []
    start = done = 0  # the tokens before `done` are written; those from `start` on say how the next ones are spelled
    for end in range(1, len(ids) + 1):
        known, whole = decode(ids[start:done]), decode(ids[start:end])
        if whole.endswith("\ufffd") and end < len(ids):
            found.append("")
        else:
            found.append(whole[len(known) :])
            start, done = done, end
    return tuple(found)


def of_choice(logprobs: Mapping[str, Any], text: str) -> tuple[str, ...]:
    """The same from what a server says of a choice; () where its tokens do not make up the text.

    Args:
        logprobs: of the choice, as `/completions` or `/chat/completions` has it.
        text: of the choice.
    """
    content = logprobs.get("content") or []
    if content and all(isinstance(token.get("bytes"), list) for token in content):
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        tokens = [decoder.decode(bytes(token["bytes"])) for token in content]
    else:
        tokens = [str(token.get("token", "")) for token in content] or list(map(str, logprobs.get("tokens") or []))
    found: list[str] = []
    at = 0
    for token in tokens:
        piece = token if at or text.startswith(token) else token.lstrip()  # some servers strip an answer
        if at == len(text) or not text[at:].rstrip():
            piece = text[at:]  # what ends an answer is no part of its text
        elif not text.startswith(piece, at):
            return ()
        found.append(piece)
        at += len(piece)
    return tuple(found) if at == len(text) else ()
