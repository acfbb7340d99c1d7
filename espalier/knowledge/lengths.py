"""How long a stretch of a text is: in characters, or in whatever a function counts, such as a model's tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

Length = Callable[[str], int]

_PATIENCE = 8  # guesses by proportion before halving


class Measure:
    """The lengths of the stretches of one text.

    Tokens do not add up exactly: what is packed by sums is measured once more when it is whole.
    """

    def __init__(self, text: str, length: Length | None = None) -> None:
        self.text, self._length = text, length

    def __call__(self, start: int, end: int) -> int:
        return end - start if self._length is None else self._length(self.text[start:end])

    def furthest(self, start: int, end: int, limit: int) -> int:
        """The last position up to which a stretch fits; at least one character on, and not before a combining one."""
        stop = start + max(1, _most(lambda n: self(start, start + n), limit, end - start))
        whole = stop
        while whole > start + 1 and whole < end and unicodedata.combining(self.text[whole]):
            whole -= 1
        return whole if whole > start + 1 or whole == stop else stop

    def earliest(self, end: int, lowest: int, limit: int) -> int:
        """The first position from which the stretch up to `end` fits."""
        return end - _most(lambda n: self(end - n, end), limit, end - lowest)


def _most(count: Callable[[int], int], limit: int, highest: int) -> int:
    """The largest number up to the highest that counts no more than the limit; 0 if none does."""
    low, counted, high, guess, guesses = 0, 0, highest + 1, limit, 0
    while high - low > 1:
        number = min(max(guess, low + 1), high - 1)
        found = count(number)
        if found <= limit:
            low, counted = number, found
        else:
            high = number
        guesses += 1
        if counted < limit and guesses < _PATIENCE:
            guess = low + (limit - counted) * number // max(found, 1)
        else:
            guess = (low + min(high, 2 * low + 16)) // 2  # not half of all there is: what is far is slow to count
    return low
