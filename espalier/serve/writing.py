"""One answer while it is written: what it was asked with, what of it has been read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from espalier.lm.generate import Sampling
from espalier.render import Ids
from espalier.serve.text import Decoder, Stops


@dataclass(frozen=True)
class Piece:
    """What one token added to an answer; `finish` is "stop" or "length" in the last."""

    text: str
    ids: tuple[int, ...] = ()
    logps: tuple[float, ...] = ()
    finish: str | None = None


@dataclass
class Writing:
    """One answer, from the queue to its last token; read by one thread or task, written by the writer."""

    prompt: Ids
    sampling: Sampling
    room: int  # tokens that may follow
    chances: torch.Tensor  # [room]
    decoder: Decoder
    stops: Stops
    notify: Callable[[], None]  # called by the writer when there is something to read
    logps: list[float] = field(default_factory=list)
    pieces: deque[Piece] = field(default_factory=deque)
    problem: Exception | None = None
    done: bool = False  # the last piece has been written, or there will be none
    gone: bool = False  # nobody reads it any more

    @property
    def ids(self) -> Ids:
        """The prompt and what was written so far."""
        return np.concatenate([self.prompt, np.array(self.decoder.ids, np.int32)])

    @property
    def chance(self) -> float:
        """The number that decides the next token."""
        return float(self.chances[len(self.logps)])

    @property
    def size(self) -> int:
        """Tokens it may have in the end."""
        return len(self.prompt) + self.room

    def take(self) -> Piece | None:
        """What is there to be read, as one piece; None if nothing is.

        Raises:
            Exception: what ended it.
        """
        if self.problem is not None:
            raise self.problem
        found: list[Piece] = []
        while self.pieces:
            found.append(self.pieces.popleft())
        if not found:
            return None
        ids, logps = (tuple(v for piece in found for v in getattr(piece, name)) for name in ("ids", "logps"))
        return Piece("".join(piece.text for piece in found), ids, logps, found[-1].finish)

    def add(self, token: int, logp: float, ends: bool) -> None:
        """Take a token that was picked."""
        self.logps.append(logp)
        text = "" if ends else self.decoder.add(token)
        finish = "stop" if ends else "length" if len(self.logps) >= self.room else None
        text += self.decoder.rest() if finish else ""
        shown = self.stops.add(text, last=finish is not None)
        finish = "stop" if self.stops.stopped else finish
        self.pieces.append(Piece(shown, (token,), (logp,), finish))
        self.done = finish is not None
