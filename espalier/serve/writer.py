"""The one thread that computes: requests wait in a queue, first come first served, and are written together.

A reader that does not keep up is taken out of the batch, and reads its text again when it has caught up: nothing grows
but the answer itself, which `max_tokens` bounds. One that has gone is dropped before the next token.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

import torch

from espalier import seeding
from espalier.errors import EspalierError, RunError
from espalier.lm.generate import Sampling, evaluating
from espalier.lm.local import Local
from espalier.render import Ids
from espalier.serve.running import Running
from espalier.serve.text import Decoder, Stops
from espalier.serve.writing import Piece, Writing

UNREAD = 256  # tokens that a reader may be behind
READ_AT_ONCE = 4096  # tokens of prompts that are read in one step, for the others wait meanwhile

log = logging.getLogger(__name__)
Found = TypeVar("Found")


class GoneError(Exception):
    """Nobody waits for what is being computed."""


class Writer:
    """Writes answers with one model, in a thread of its own.

    Args:
        lm: the model.
        rows: answers written at once.
        tokens: prompts and answers in memory at once; one that is longer is written alone.
        waiting: requests in the queue, before more are refused.
    """

    def __init__(self, lm: Local, *, rows: int = 64, tokens: int = 65_536, waiting: int = 1024) -> None:
        self.lm, self.rows, self.tokens, self.waiting = lm, rows, tokens, waiting
        self._queue: deque[Writing] = deque()
        self._jobs: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._open: dict[int, Writing] = {}
        self._paused: list[Writing] = []
        self._number = 0
        self._running = Running(lm.role.inner)
        self._wake = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)
        self._thread.start()

    def write(
        self, prompt: Ids, sampling: Sampling, notify: Callable[[], None], *, stops: Sequence[str] = (), number: int = 0
    ) -> Writing:
        """Put an answer into the queue; the same seed, prompt and number give the same one.

        Raises:
            RunError: too many are waiting, or the server is about to end.
            RowError: the prompt fills the model's context.
        """
        room = self.lm.room(prompt, sampling.max_tokens)
        chance = seeding.generator(sampling.seed, "sample", _digest(prompt), 0, number)
        writing = Writing(
            prompt, sampling, room, torch.rand(room, generator=chance), Decoder(self.lm.renderer.decode), Stops(stops),
            notify,
        )  # fmt: skip
        with self._wake:
            if self._over:
                raise RunError("the server is shutting down.")
            if len(self._queue) >= self.waiting:
                raise RunError(f"{len(self._queue)} requests are waiting already; try again later.")
            self._queue.append(writing)
            self._wake.notify()
        return writing

    def call(self, work: Callable[[], Found]) -> Found:
        """Have something else computed between two tokens, and wait for it."""
        done: Future[Found] = Future()
        with self._wake:
            if self._over:
                raise RunError("the server is shutting down.")
            self._jobs.append((work, done))
            self._wake.notify()
        return done.result()

    def read(self, writing: Writing) -> None:
        """Say that a reader has caught up."""
        if writing in self._paused:
            with self._wake:
                self._wake.notify()

    def leave(self, writing: Writing) -> None:
        """Say that nobody reads an answer any more."""
        writing.gone = True
        with self._wake:
            self._wake.notify()

    def close(self, patience: float = 5.0) -> None:
        """End the thread; who still waits is told."""
        with self._wake:
            self._over = True
            self._wake.notify()
        self._thread.join(patience)

    @property
    def load(self) -> tuple[int, int]:
        """Answers being written, and waiting."""
        return len(self._open), len(self._queue) + len(self._paused)

    def _work(self) -> None:
        with evaluating(self.lm.role.inner.model), self.lm.role.context():
            while True:
                with self._wake:
                    self._wake.wait_for(self._has_work)
                    if self._over:
                        break
                    jobs, self._jobs = self._jobs, deque()
                for work, done in jobs:
                    _run(work, done)
                self._admit()
                self._step()
        end = RunError("the server is shutting down.")
        self._fail([*self._open.values(), *self._queue, *self._paused], end)
        for _, done in self._jobs:
            done.set_exception(end)

    def _has_work(self) -> bool:
        caught_up = any(writing.gone or not writing.pieces for writing in self._paused)
        return bool(self._over or self._jobs or self._queue or self._open or caught_up)

    def _admit(self) -> None:
        """Begin those that fit beside what is running, in their order."""
        back = [writing for writing in self._paused if writing.gone or not writing.pieces]
        self._paused = [writing for writing in self._paused if writing not in back]
        with self._wake:
            self._queue.extendleft(reversed(back))
            begun: dict[int, Writing] = {}
            widest = max((writing.size for writing in self._open.values()), default=0)
            read = 0
            while self._queue:
                writing = self._queue[0]
                if writing.gone:
                    self._queue.popleft()
                    continue
                count = len(self._open) + len(begun)
                widest = max(widest, writing.size)
                read += len(writing.prompt) + len(writing.logps)
                full = count >= self.rows or (count and widest * (count + 1) > self.tokens)
                if full or (begun and read > READ_AT_ONCE):
                    break
                self._number += 1
                begun[self._number] = self._queue.popleft()
        if begun:
            self._guarded(begun, lambda: self._running.begin(begun))

    def _step(self) -> None:
        """One token for each answer that is read."""
        for batch in list(self._running.batches):
            rows = {number: self._open[number] for number in batch.open if number in self._open}
            self._guarded(rows, partial(self._extend, batch))

    def _extend(self, batch: Any) -> None:
        going = set()
        for number, token, logp in self._running.pick(batch, self._open):
            writing = self._open[number]
            if writing.gone:
                del self._open[number]
                continue
            writing.add(token, logp, token in self.lm.renderer.stop_ids)
            if writing.done:
                self._count(writing)
                del self._open[number]
            elif len(writing.pieces) >= UNREAD:
                self._paused.append(self._open.pop(number))
            else:
                going.add(number)
            writing.notify()
        self._running.extend(batch, going)

    def _guarded(self, rows: dict[int, Writing], work: Callable[[], Any]) -> None:
        """Compute; what goes wrong is told to the requests it concerns, and the others go on."""
        self._open |= rows
        try:
            work()
        except Exception as problem:
            if not isinstance(problem, EspalierError):
                log.exception("an answer could not be written")
            for batch in [b for b in self._running.batches if set(b.open) & set(rows)]:
                self._running.batches.remove(batch)
                rows = rows | {n: self._open[n] for n in batch.open if n in self._open}
            self._fail([self._open.pop(number) for number in rows if number in self._open], problem)

    def _fail(self, writings: Sequence[Writing], problem: Exception) -> None:
        for writing in writings:
            writing.problem, writing.done = problem, True
            writing.notify()

    def _count(self, writing: Writing) -> None:
        self.lm.counts.calls += 1
        self.lm.counts.prompt_tokens += len(writing.prompt)
        self.lm.counts.completion_tokens += len(writing.logps)


def waited(
    writer: Writer, write: Callable[[Callable[[], None]], Writing], alive: Callable[[], bool]
) -> Iterator[Piece]:
    """The pieces of an answer, in a thread that waits for them.

    Args:
        writer: who writes it.
        write: puts it into the queue, with what is to be called when there is something to read.
        alive: whether somebody still wants it.

    Raises:
        GoneError: nobody does.
    """
    ready = threading.Event()
    writing = write(ready.set)
    try:
        while True:
            if ready.wait(0.5):
                ready.clear()
            if not alive():
                raise GoneError
            piece = writing.take()
            writer.read(writing)
            if piece is not None:
                yield piece
                if piece.finish:
                    return
    finally:
        writer.leave(writing)


def _digest(ids: Ids) -> str:
    return hashlib.sha256(ids.tobytes()).hexdigest()


def _run(work: Callable[[], Any], done: Future[Any]) -> None:
    try:
        done.set_result(work())
    except Exception as problem:
        done.set_exception(problem)
