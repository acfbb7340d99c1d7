"""Names nobody bears: built of syllables, told apart by split, and writable in Hangul."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from itertools import product
from typing import Literal

from espalier.errors import RecipeError

Split = Literal["train", "dev", "test"]
TRIES = 10_000
ONSETS = {"": 11, "b": 7, "d": 3, "g": 0, "h": 18, "j": 12, "k": 15, "m": 6, "n": 2, "p": 17, "r": 5, "s": 9, "t": 16}
VOWELS = {"a": 0, "e": 5, "i": 20, "o": 8, "u": 13}
CODAS = {"": 0, "n": 4, "l": 8, "m": 16, "s": 19}
HANGUL = {
    onset + vowel + coda: chr(0xAC00 + (first * 21 + middle) * 28 + last)
    for (onset, first), (vowel, middle), (coda, last) in product(ONSETS.items(), VOWELS.items(), CODAS.items())
}
OPEN = tuple(o + v for o, v in product(ONSETS, VOWELS) if o)  # syllables that a name of several may begin with
CLOSED = tuple(o + v + c for o, v, c in product(ONSETS, VOWELS, CODAS) if o)


def split_of(name: str) -> Split:
    """Which of the three worlds a name belongs to: eight in ten names to train, one each to dev and test."""
    share = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") % 10
    return "dev" if share == 8 else "test" if share == 9 else "train"


class Names:
    """Draws names of one split, none of them twice.

    Args:
        draw: where chance comes from.
        split: the names of different splits never meet: not as surnames, not as places, not as titles.
    """

    def __init__(self, draw: random.Random, split: Split) -> None:
        self.draw, self.split = draw, split
        self.taken: set[str] = set()

    def new(self, make: Callable[[], str]) -> str:
        """A name of this split that has not been drawn yet."""
        for _ in range(TRIES):
            name = make()
            if name not in self.taken and split_of(name) == self.split:
                self.taken.add(name)
                return name
        raise RecipeError(f"the {self.split} world has no more names; ask for a smaller one.")

    def given(self) -> str:
        """A first name; they are few, and shared by all."""
        return (self.draw.choice(OPEN) + self.draw.choice(CLOSED)).capitalize()

    def surname(self) -> str:
        """A surname, as a rule unheard of."""
        return (self.draw.choice(CLOSED) + self.draw.choice(CLOSED)).capitalize()

    def place(self) -> str:
        """The name of a town."""
        syllables = [self.draw.choice(OPEN) for _ in range(self.draw.choice((1, 1, 2)))]
        return "".join((*syllables, self.draw.choice(CLOSED))).capitalize()


def in_hangul(name: str) -> str:
    """A name in Hangul, syllable by syllable; spaces stay.

    Raises:
        ValueError: it is not built of the syllables of this world.
    """
    return " ".join("".join(HANGUL[syllable] for syllable in syllables(word)) for word in name.split(" "))


def syllables(word: str) -> list[str]:
    """A word taken apart, from left to right: a consonant belongs to the vowel behind it if there is one."""
    rest, found = word.lower(), []
    while rest:
        size = next((n for n in (3, 2, 1) if rest[:n] in HANGUL and rest[n : n + 1] not in VOWELS), 0)
        if not size:
            raise ValueError(f"{word!r} is not built of the syllables of this world")
        found.append(rest[:size])
        rest = rest[size:]
    return found
