"""A model on this machine as it is served; and what strategies in other threads ask in its place."""

from __future__ import annotations

import asyncio
import contextvars
import copy
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from espalier.asking import started
from espalier.contracts import Prompt
from espalier.errors import RowError
from espalier.lm.generate import Sampling
from espalier.render import Ids
from espalier.serve.requests import Asked, RequestError
from espalier.serve.writer import Writer, waited
from espalier.serve.writing import Piece, Writing
from espalier.spending import spend


@dataclass(frozen=True)
class Delta:
    """What is new in one of the answers to a request."""

    index: int = 0
    text: str = ""
    tokens: tuple[tuple[str, float], ...] = ()  # each with its log-probability, where they were asked for
    finish: str | None = None
    more: dict[str, Any] = field(default_factory=dict)  # what stands beside the answers: citations
    spent: tuple[int, int] = (0, 0)  # tokens of prompts and of answers, so far; in the last


class Served(Protocol):
    """What answers under a name."""

    name: str

    def answer(self, asked: Asked, base: str) -> AsyncIterator[Delta]:
        """The answers to a request, bit by bit; closed early, nothing more is computed.

        Args:
            asked: the request.
            base: the address under which the client knows this server.
        """
        ...


class LocalModel:
    """A model on this machine, under a name.

    Args:
        name: what clients call it.
        writer: writes its answers.
    """

    def __init__(self, name: str, writer: Writer) -> None:
        self.name, self.writer = name, writer

    async def answer(self, asked: Asked, base: str) -> AsyncIterator[Delta]:
        """As `Served`."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        prompt = await asyncio.to_thread(self._prompt, asked)

        def notify() -> None:
            loop.call_soon_threadsafe(ready.set)

        numbers = range(asked.n)
        writings: list[Writing] = []
        try:
            for number in numbers:
                writings.append(self.writer.write(prompt, asked.sampling, notify, stops=asked.stops, number=number))
            left = set(numbers)
            while left:
                await ready.wait()
                ready.clear()
                for index in sorted(left):
                    piece = writings[index].take()
                    self.writer.read(writings[index])
                    if piece is not None:
                        left -= {index} if piece.finish else set()
                        yield self._delta(asked, index, piece)
            yield Delta(spent=(len(prompt), sum(len(writing.logps) for writing in writings)))
        finally:
            for writing in writings:
                self.writer.leave(writing)

    def _prompt(self, asked: Asked) -> Ids:
        try:
            renderer = copy.copy(self.writer.lm.renderer)  # as in `Shared`
            prompt = renderer.prompt(asked.prompt if isinstance(asked.prompt, str) else list(asked.prompt))
            self.writer.lm.room(prompt, asked.sampling.max_tokens)
        except RowError as problem:
            raise RequestError(str(problem)) from problem
        return prompt

    def _delta(self, asked: Asked, index: int, piece: Piece) -> Delta:
        decode, ends = self.writer.lm.renderer.decode, self.writer.lm.renderer.stop_ids
        tokens: tuple[tuple[str, float], ...] = ()
        if asked.logprobs:
            both = zip(piece.ids, piece.logps, strict=True)
            tokens = tuple((decode([token]), logp) for token, logp in both if token not in ends)
        return Delta(index, piece.text, tokens, piece.finish)


class Shared:
    """A model that a strategy asks in a thread of its own while others are answered; an `LM`.

    Texts are written together with everybody's; whatever else the model can do is computed between two tokens.

    Args:
        writer: the one that computes.
        alive: whether somebody still waits for what is asked.
    """

    concurrency = 8  # texts that may be asked for at once

    def __init__(self, writer: Writer, alive: Callable[[], bool] = lambda: True) -> None:
        self.writer, self.alive = writer, alive
        self.renderer = copy.copy(writer.lm.renderer)  # it remembers its last prompt, and is no other thread's
        self._lm = copy.copy(writer.lm)
        self._lm.renderer = self.renderer

    def complete(
        self, prompt: Prompt, *, n: int = 1, temperature: float = 0.0, max_tokens: int = 256, seed: int = 0
    ) -> list[str]:
        """The texts of n answers."""
        sampling = Sampling(temperature, 1.0, max_tokens, seed)
        texts = ["".join(self._texts(prompt, sampling, number)) for number in range(n if temperature > 0 else 1)]
        return texts if temperature > 0 else texts * n

    def stream(
        self, prompt: Prompt, *, temperature: float = 0.0, max_tokens: int = 256, seed: int = 0
    ) -> Iterator[str]:
        """Pieces of one answer, as they come."""
        return self._texts(prompt, Sampling(temperature, 1.0, max_tokens, seed), 0)

    def __getattr__(self, name: str) -> Any:
        """Whatever else the model has: `sample`, `logprobs`, `context`, `counts`."""
        found = getattr(self._lm, name)
        if not callable(found):
            return found
        counted = contextvars.copy_context().run
        return lambda *values, **options: self.writer.call(partial(counted, found, *values, **options))

    def _texts(self, prompt: Prompt, sampling: Sampling, number: int) -> Iterator[str]:
        ids = self._ids(prompt)
        spend(calls=1, prompt_tokens=len(ids))

        def write(notify: Callable[[], None]) -> Writing:
            return self.writer.write(ids, sampling, notify, number=number)

        for piece in waited(self.writer, write, self.alive):
            spend(completion_tokens=len(piece.ids))
            yield piece.text

    def _ids(self, prompt: Prompt) -> Ids:
        """What the model sees: a prompt, and the answer to it if that has begun."""
        before, begun = started(prompt)
        if not begun:
            return self.renderer.prompt(before)
        ids = self.renderer.completion(before, begun).ids
        return ids[:-1] if ids[-1] in self.renderer.stop_ids else ids
