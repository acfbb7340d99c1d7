"""Token ids made text while they come: whole characters only, and nothing of a stop text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

HOLE = "\ufffd"  # what a decoder shows of a character that is not complete


class Decoder:
    """Text of a growing answer; each token is decoded with a few before it, not with all.

    Args:
        decode: ids to text.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self.decode = decode
        self.ids: list[int] = []
        self._first = self._read = 0

    def add(self, token: int) -> str:
        """What a token adds to the text: nothing until its last character is whole."""
        self.ids.append(token)
        before, now = self.decode(self.ids[self._first : self._read]), self.decode(self.ids[self._first :])
        if len(now) <= len(before) or now.endswith(HOLE):
            return ""
        self._first, self._read = self._read, len(self.ids)
        return now[len(before) :]

    def rest(self) -> str:
        """What is left at the end."""
        before, now = self.decode(self.ids[self._first : self._read]), self.decode(self.ids[self._first :])
        self._first = self._read = len(self.ids)
        return now[len(before) :]


class Stops:
    """Holds back what may become a stop text, and cuts the answer where one stands.

    Args:
        stops: texts that end an answer and are no part of it.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = tuple(filter(None, stops))
        self.held = ""
        self.stopped = False

    def add(self, text: str, *, last: bool = False) -> str:
        """What of the text so far may be shown; with `last` nothing more comes."""
        if self.stopped:
            return ""
        self.held += text
        found = [at for at in map(self.held.find, self.stops) if at >= 0]
        if found:
            self.stopped = True
            shown, self.held = self.held[: min(found)], ""
            return shown
        keep = 0 if last else max(map(self._beginning, self.stops), default=0)
        shown, self.held = self.held[: len(self.held) - keep], self.held[len(self.held) - keep :]
        return shown

    def _beginning(self, stop: str) -> int:
        """How many of the last characters a stop text may begin with."""
        most = min(len(stop) - 1, len(self.held))
        return next((size for size in range(most, 0, -1) if self.held.endswith(stop[:size])), 0)
