"""Rejection-sampling fine-tuning (Yuan et al., 2023, "RFT"), arXiv:2308.01825."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from espalier.catalogue import method
from espalier.contracts import LM, Row, Scorer
from espalier.curating import Candidate, EachRow, Item, carried, given, sampled
from espalier.errors import RecipeError
from espalier.rows import Dropped

_EQUATION = re.compile(r"[(\d](?:[\d \t+\-*/()%$]|[.,](?=\d))*=\s*[-$(]*\d[\d.,]*(?<=\d)")
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-"})


def reasoning_key(text: str) -> tuple[str, ...]:
    """The list of an answer's equations, in their order; two answers with the same list reason alike.

    "3 + 4 = 7, and 7 * 2 = $14" is ("3+4=7", "7*2=14"). An answer without an equation is its own words, in lower case
    and without punctuation.

    Args:
        text: the whole answer.
    """
    found = [re.sub(r"[\s,$]", "", equation) for equation in _EQUATION.findall(text.translate(_SIGNS))]
    return tuple(found) or (" ".join(re.findall(r"\w+", text.lower())),)


@method(paper="arXiv:2308.01825")
@dataclass(frozen=True)
class RejectionSampling(EachRow):
    """Sample answers, keep those that are right and reason differently, and set right ones against wrong ones.

    A kept answer is a row with prompt and completion; `pairs` of a prompt are rows with prompt, chosen and rejected.

    Inputs: rows with prompt and whatever the scorer reads, a model and a scorer; or rows with prompt, completions and
    scores.
    Relations: best-of-n keeps one answer however good; RAFT (arXiv:2304.06767) is that, trained on and repeated.
    Departs from the paper: of answers that reason alike the first is kept, not the one least like the others; pairs,
    which it has none of; an answer cut off by max_tokens is neither right nor wrong.
    """

    lm: LM | None = None  # samples the answers; the rows bring them, scored, if there is none
    scorer: Scorer | None = None
    samples: int = 100  # of each prompt
    temperature: float = 0.7
    max_tokens: int = 512  # of an answer
    threshold: float = 1.0  # an answer with this score or more is right
    most: int | None = None  # right answers kept of a prompt, so that easy ones do not outweigh the others
    pairs: int = 1  # of each prompt, at most
    emit: Literal["sft", "pairs", "both"] = "both"  # the kept answers, the pairs, or both
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse one of model and scorer alone, and no samples."""
        if (self.lm is None) != (self.scorer is None):
            raise RecipeError("synthesis/rejection_sampling needs an lm and a scorer, or neither and scored answers.")
        if self.samples < 1 or self.pairs < 0 or (self.most is not None and self.most < 1):
            raise RecipeError("synthesis/rejection_sampling: samples and most must be at least 1, pairs 0 or more.")

    def each(self, row: Row) -> Iterator[Item]:
        """The kept answers of a row, then its pairs."""
        candidates = self._candidates(row)
        about = carried(row)
        kept: dict[tuple[str, ...], Candidate] = {}
        wrong: dict[tuple[str, ...], Candidate] = {}
        for number, one in enumerate(candidates, 1):
            key = reasoning_key(one.text)
            reason = self._reason(one, key, kept)
            if reason:
                yield Dropped(f"{row.where}, answer {number}", reason)
            if reason == "wrong":
                wrong.setdefault(key, one)
            if not reason:
                kept[key] = one
            if not reason and self.emit != "pairs":
                yield Row(about, row.where, completion=one.completion, score=one.score)
        if not kept:
            yield Dropped(row.where, "no right answer")
        elif self._pairs and not wrong:
            yield Dropped(row.where, "no wrong answer to make a pair")
        for right, other in islice(zip(kept.values(), wrong.values(), strict=False), self._pairs):
            yield Row(about, row.where, chosen=right.completion, rejected=other.completion)

    @property
    def _pairs(self) -> int:
        return 0 if self.emit == "sft" else self.pairs

    def _reason(self, one: Candidate, key: tuple[str, ...], kept: dict[tuple[str, ...], Candidate]) -> str:
        """Why an answer is not kept; empty if it is."""
        if not one.ended:
            return "cut off by max_tokens"
        if one.score is None:
            return "without a score"
        if not one.score >= self.threshold:
            return "wrong"
        if key in kept:
            return "reasons like one before it"
        return "enough of this prompt" if self.most is not None and len(kept) >= self.most else ""

    def _candidates(self, row: Row) -> list[Candidate]:
        if self.lm is None or self.scorer is None:
            return given(row)
        options = {"n": self.samples, "temperature": self.temperature}
        return sampled(row, self.lm, self.scorer, options=options | {"max_tokens": self.max_tokens, "seed": self.seed})
