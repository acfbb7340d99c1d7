"""An answer that is being written: its next sentence, how sure the model is of each token, and what to look up."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from espalier import reading
from espalier.contracts import Sample
from espalier.knowledge.chunks import sentences

SHORTEST = 5  # characters of a sentence; "1." is none
_FORM = re.compile(rf"^\s*(?:{reading.QUOTE}|{reading.ANSWER}|{reading.QUESTION})\s*|\[\d+[a-z]?\]\s*", re.MULTILINE)
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Draft:
    """A stretch of text, token by token; an end token has no text."""

    tokens: tuple[str, ...] = ()
    logps: tuple[float, ...] = ()  # one for each token
    ended: bool = True  # nothing follows it

    @classmethod
    def of(cls, sample: Sample) -> Draft:
        """A sample; where the log-probabilities are not to be had it is one certain token."""
        known = has_logps(sample)
        return cls(sample.tokens if known else (sample.text,), sample.logps if known else (0.0,), sample.ended)

    @property
    def text(self) -> str:
        """What it says."""
        return "".join(self.tokens)

    def cut(self) -> tuple[Draft, Draft]:
        """Its first sentence, in whole tokens, and what follows."""
        size = sentence_end(self.text)
        number = 1 + sum(end < size for end in accumulate(map(len, self.tokens)))
        if not "".join(self.tokens[number:]).strip():
            return self, Draft(ended=self.ended)
        first = Draft(self.tokens[:number], self.logps[:number], ended=False)
        return first, Draft(self.tokens[number:], self.logps[number:], self.ended)

    def whole(self) -> bool:
        """Whether its first sentence is complete, so that nothing written later would belong to it."""
        return bool(self.text.strip()) and (self.ended or sentence_end(self.text) < len(self.text.rstrip()))

    def unsure(self, threshold: float) -> bool:
        """Whether some token is less likely than a threshold; at 1 every sentence is unsure, even a certain one."""
        return threshold >= 1 or any(p < threshold for token, p in self._said() if token.strip())

    def masked(self, threshold: float) -> str:
        """The text without the tokens that are less likely than a threshold; all of it where none would be left."""
        kept = plain("".join(token if p >= threshold else " " for token, p in self._said()))
        return kept if _WORD.search(kept) else plain(self.text)

    def spans(self, threshold: float) -> list[str]:
        """The words with tokens that are less likely than a threshold, neighbors together."""
        text, low, at = self.text, set[int](), 0
        for token, p in self._said():
            if p < threshold:
                low |= set(range(at, at + len(token)))
            at += len(token)
        hidden = {place for form in _FORM.finditer(text) for place in range(*form.span())}
        found: list[tuple[int, int]] = []
        for word in _WORD.finditer(text):
            start, end = word.span()
            if low.isdisjoint(range(start, end)) or start in hidden:
                continue
            if found and not text[found[-1][1] : start].strip():
                start = found.pop()[0]
            found.append((start, end))
        return list(dict.fromkeys(text[start:end] for start, end in found))

    def _said(self) -> list[tuple[str, float]]:
        return [(token, math.exp(logp)) for token, logp in zip(self.tokens, self.logps, strict=True) if token]


def has_logps(sample: Sample) -> bool:
    """Whether it is known how likely each of its tokens was."""
    return len(sample.tokens) == len(sample.logps) > 0


def plain(text: str) -> str:
    """A stretch of a reply without the labels of its form, on one line: "Quote: [1a] He sang." is "He sang."."""
    return " ".join(_FORM.sub(" ", text).split())


def sentence_end(text: str) -> int:
    """Where the first sentence of a text ends; a line of an answer is one, unless it is very short."""
    for end in _ends(text):
        if len(text[:end].strip()) >= SHORTEST:
            return end
    return len(text)


def _ends(text: str) -> Sequence[int]:
    lines = [found.start() for found in re.finditer("\n", text)]
    return sorted({*lines, *(end for _, end in sentences(text))})
