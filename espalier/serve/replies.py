"""Answers in the form of OpenAI's protocol: whole, or as events while they are written."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

from espalier.errors import EspalierError
from espalier.serve.requests import Asked, error_of
from espalier.serve.served import Delta

BEAT = 15.0  # seconds of silence after which a stream says that it lives
DONE = b"data: [DONE]\n\n"


class Reply:
    """What all parts of one reply have in common.

    Args:
        asked: the request.
    """

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        kind = "chat.completion" if asked.chat else "text_completion"
        self.kind = f"{kind}.chunk" if asked.chat and asked.stream else kind
        self.head = {
            "id": f"{'chatcmpl' if asked.chat else 'cmpl'}-{secrets.token_hex(12)}",
            "object": self.kind, "created": int(time.time()), "model": asked.model,
        }  # fmt: skip

    async def whole(self, deltas: AsyncIterator[Delta]) -> dict[str, Any]:
        """The reply when everything is there."""
        texts, finish = [""] * self.asked.n, ["stop"] * self.asked.n
        tokens: list[tuple[tuple[str, float], ...]] = [()] * self.asked.n
        more: dict[str, Any] = {}
        spent = (0, 0)
        async for delta in deltas:
            texts[delta.index] += delta.text
            tokens[delta.index] += delta.tokens
            finish[delta.index] = delta.finish or finish[delta.index]
            more |= delta.more
            spent = max(spent, delta.spent)
        choices = [
            {"index": index, **self._content(text), "logprobs": self._scored(scored), "finish_reason": finish}
            for index, (text, scored, finish) in enumerate(zip(texts, tokens, finish, strict=True))
        ]
        return {**self.head, "choices": choices, "usage": usage(spent), **more}

    async def events(self, deltas: AsyncIterator[Delta]) -> AsyncIterator[bytes]:
        """The reply as it comes; whatever goes wrong is an event too, never silence."""
        begun: set[int] = set()
        more: dict[str, Any] = {}
        spent = (0, 0)
        try:
            async for delta in with_beats(deltas):
                if delta is None:
                    yield b": waiting\n\n"
                    continue
                more |= delta.more
                spent = max(spent, delta.spent)
                if delta.text or delta.finish or delta.tokens:
                    yield self._event(delta, first=delta.index not in begun)
                    begun.add(delta.index)
            if self.asked.usage:
                yield event({**self.head, "choices": [], "usage": usage(spent), **more})
            yield DONE
        except EspalierError as problem:
            yield event(error_of(problem))
        except Exception as problem:
            yield event(error_of(problem))
            raise

    def _event(self, delta: Delta, *, first: bool) -> bytes:
        choice: dict[str, Any] = {"index": delta.index, "finish_reason": delta.finish, "logprobs": None}
        if self.asked.chat:
            choice["delta"] = ({"role": "assistant"} if first else {}) | {"content": delta.text}
        else:
            choice["text"] = delta.text
        choice["logprobs"] = self._scored(delta.tokens)
        return event({**self.head, "choices": [choice], **delta.more})

    def _content(self, text: str) -> dict[str, Any]:
        return {"message": {"role": "assistant", "content": text}} if self.asked.chat else {"text": text}

    def _scored(self, tokens: tuple[tuple[str, float], ...]) -> dict[str, Any] | None:
        """Tokens and their log-probabilities, where they were asked for."""
        if not self.asked.logprobs:
            return None
        if not self.asked.chat:
            return {"tokens": [token for token, _ in tokens], "token_logprobs": [logp for _, logp in tokens]}
        content = [
            {"token": token, "logprob": logp, "bytes": list(token.encode()), "top_logprobs": []}
            for token, logp in tokens
        ]
        return {"content": content}


def usage(spent: tuple[int, int]) -> dict[str, int]:
    """Tokens of prompt and answers."""
    return {"prompt_tokens": spent[0], "completion_tokens": spent[1], "total_tokens": sum(spent)}


def event(table: dict[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(table, ensure_ascii=False).encode("utf-8", "replace") + b"\n\n"


async def with_beats(deltas: AsyncIterator[Delta]) -> AsyncIterator[Delta | None]:
    """The same, with None where nothing came for a while."""
    task: asyncio.Task[Delta] | None = None
    try:
        while True:
            task = task or asyncio.ensure_future(_next(deltas))
            done, _ = await asyncio.wait({task}, timeout=BEAT)
            if not done:
                yield None
                continue
            finished, task = task, None
            try:
                yield finished.result()
            except StopAsyncIteration:
                return
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await closed(deltas)


async def _next(deltas: AsyncIterator[Delta]) -> Delta:
    return await anext(deltas)


async def begun(deltas: AsyncIterator[Delta], patience: float) -> AsyncIterator[Delta]:
    """The same, of which the first has come or was waited for; what is wrong at once is raised here.

    Raises:
        Exception: what ended it before its first.
    """
    first = asyncio.ensure_future(_next(deltas))
    try:
        await asyncio.wait({first}, timeout=patience)
    except BaseException:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        raise
    if first.done():
        first.result()

    async def all_of() -> AsyncIterator[Delta]:
        try:
            yield await first
            async for delta in deltas:
                yield delta
        finally:
            if not first.done():
                first.cancel()
                await asyncio.gather(first, return_exceptions=True)
            await closed(deltas)

    return all_of()


async def closed(deltas: AsyncIterator[Delta]) -> None:
    """Have a generator clean up."""
    close = getattr(deltas, "aclose", None)
    if close is not None:
        await close()
