"""An index as it is served: a question in, an answer with its sources out."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from espalier.contracts import LM, Answer, Retriever
from espalier.knowledge.store import Store
from espalier.pipelines import Pipeline
from espalier.serve.requests import Asked, RequestError
from espalier.serve.served import Delta, Shared
from espalier.serve.solving import Spoken, question_of, solve
from espalier.serve.sources import table, tail
from espalier.serve.writer import Writer

AROUND = 2000  # characters shown before and behind a source


@dataclass
class Desk:
    """What one thread works with: the index opened for itself, its search, and whom it asks."""

    store: Store
    lm: LM
    retriever: Retriever
    generation: int


@dataclass
class Job:
    """Something to be done at a desk, for a task of the server."""

    work: Callable[[Desk], Any]
    tell: Callable[[Any], None]  # called in the thread with what came of it, which may be an exception
    gone: threading.Event = field(default_factory=threading.Event)  # nobody waits for it any more

    def wanted(self) -> bool:
        """Whether somebody waits for it."""
        return not self.gone.is_set()


class Knowledge:
    """An index under a name.

    Args:
        name: what clients call it.
        path: the index.
        pipeline: how it is searched and read.
        lm: a model behind a server, or the writer of one on this machine.
        secret: signs links to sources; "" where anybody may read them.
        k: passages that are read.
        threads: questions worked on at once.

    Raises:
        EspalierError: it cannot be opened.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        pipeline: Pipeline,
        lm: LM | Writer,
        *,
        secret: str = "",
        k: int | None = None,
        threads: int = 4,
    ) -> None:
        self.name, self.path, self.pipeline, self.lm, self.secret = name, path, pipeline, lm, secret
        self.options = {} if k is None else {"k": k}
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        desk = self._desk()  # what cannot be opened is said before the server starts
        pipeline.solver(desk.retriever, desk.lm, **self.options)
        desk.store.close()
        for number in range(threads):
            threading.Thread(target=self._work, name=f"{name} {number}", daemon=True).start()

    async def answer(self, asked: Asked, base: str) -> AsyncIterator[Delta]:
        """As `Served`."""
        if isinstance(asked.prompt, str):
            raise RequestError(f"{self.name} answers conversations; ask it at /v1/chat/completions.")
        if asked.n > 1 or asked.logprobs or asked.stops:
            raise RequestError(f"{self.name} gives one answer with its sources: leave out n, logprobs and stop.")
        question, spoken = question_of(asked.prompt), Spoken()
        options = {**self.options, "max_tokens": asked.sampling.max_tokens}

        def work(desk: Desk, say: Callable[[Any], None]) -> Answer:
            strategy = self.pipeline.solver(desk.retriever, desk.lm, **options)
            return solve(strategy, desk.lm, question, say)

        async for found in self._done(work):
            if isinstance(found, str):
                if text := spoken.add(found):
                    yield Delta(text=text)
            else:
                more = table(found, self.name)
                text = spoken.rest(found.text) + tail(more["citations"], base, self.secret)
                spent = found.spent.get("prompt_tokens", 0), found.spent.get("completion_tokens", 0)
                yield Delta(text=text, finish="stop", more=more, spent=spent)

    async def source(self, document: str, start: int, end: int) -> tuple[str, str, str]:
        """A stretch of a document, with what stands before and behind it.

        Raises:
            RequestError: there is no such stretch.
        """

        def work(desk: Desk, say: Callable[[Any], None]) -> tuple[str, str, str]:
            if document not in desk.store.documents():
                raise RequestError("there is no such document any more.", 404)
            text = desk.store.text(document)
            if not 0 <= start < end <= len(text):
                raise RequestError("the document has no such place any more.", 404)
            return text[max(0, start - AROUND) : start], text[start:end], text[end : end + AROUND]

        found: tuple[str, str, str] = [part async for part in self._done(work)][-1]
        return found

    async def _done(self, work: Callable[[Desk, Callable[[Any], None]], Any]) -> AsyncIterator[Any]:
        """What work at a desk says, then what comes of it; left early, it ends at the next question to a model."""
        loop, heard = asyncio.get_running_loop(), asyncio.Queue[tuple[Any, bool]]()

        def tell(found: Any, last: bool) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, (found, last))

        job = Job(lambda desk: work(desk, lambda found: tell(found, False)), lambda found: tell(found, True))
        self._jobs.put(job)
        try:
            last = False
            while not last:
                found, last = await heard.get()
                if isinstance(found, Exception):
                    raise found
                yield found
        finally:
            job.gone.set()

    def _work(self) -> None:
        """Work at jobs, in a thread with a desk of its own."""
        desk: Desk | None = None
        while True:
            job = self._jobs.get()
            if job.gone.is_set():
                continue
            try:
                if desk is None or desk.store.generation != desk.generation:
                    if desk is not None:
                        desk.store.close()
                        desk = None
                    desk = self._desk()
                if isinstance(desk.lm, Shared):
                    desk.lm.alive = job.wanted
                found = job.work(desk)
            except Exception as problem:
                found = problem
            job.tell(found)

    def _desk(self) -> Desk:
        lm = Shared(self.lm) if isinstance(self.lm, Writer) else self.lm
        store = Store.open(self.path)
        try:
            generation = store.generation
            return Desk(store, lm, self.pipeline.retriever(store, lm), generation)
        except BaseException:
            store.close()
            raise
