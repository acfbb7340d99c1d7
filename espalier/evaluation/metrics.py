"""What is measured, as formulas over texts and log-probabilities: one row each, never reduced."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from espalier.maths.scripts import script, words

Array = npt.NDArray[np.float64]
TIE = 1e-4  # nats: sums of float32 log-probabilities that are closer than this are equal
TIE_PER_TOKEN = 1e-6  # and their means


def perplexity(nats_per_token: Array) -> Array:
    """exp(-log p / tokens), the end token included; comparable only between models of one tokenizer."""
    return np.exp(nats_per_token)


def bits(nats: Array) -> Array:
    """-log2 p from -log p; per UTF-8 byte of the text it is comparable between tokenizers."""
    return nats / math.log(2)


def preferred(chosen: float, rejected: float, *, tie: float = TIE) -> float:
    """1 if the chosen completion scores higher, 0 if lower, 1/2 if the two are equal up to rounding."""
    return 0.5 if abs(chosen - rejected) <= tie else float(chosen > rejected)


def picked(scores: Sequence[float], answer: int, *, tie: float = TIE) -> float:
    """1 if the answer scores highest among the options; an equal share if several do, up to rounding."""
    best = [i for i, score in enumerate(scores) if score >= max(scores) - tie]
    return (answer in best) / len(best)


def calibration_error(rows: Array, bins: int = 10) -> float:
    """ECE = sum over bins of n_bin / n * |share right - mean confidence| (Guo et al., 2017, eq. 3).

    Args:
        rows: of each pair the probability of the side that is scored higher, 1/2 or more, and whether that is the right
            side: 1, 0, or 1/2 for a tie. [n, 2]
        bins: of equal width, from 1/2 to 1.
    """
    confidence, right = rows.T
    number = np.clip(((confidence - 0.5) * 2 * bins).astype(int), 0, bins - 1)
    gaps = np.bincount(number, right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(rows))


def spearman(rows: Array) -> float:
    """The correlation of ranks, equal values sharing theirs; 0 where one side is all equal. [n, 2]"""
    first, second = (_ranks(column) for column in rows.T)
    spread = float(first.std() * second.std())
    return float(((first - first.mean()) * (second - second.mean())).mean()) / spread if spread else 0.0


def _ranks(values: Array) -> Array:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[place])


def repetition(text: str, n: int = 4) -> float | None:
    """seq-rep-n (Welleck et al., 2020): 1 - different n-grams / n-grams, of words; 1 minus the text's distinct-n.

    None for a text of fewer than n words.
    """
    found = words(text.lower())
    grams = [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else None


def same_script(question: str, answer: str) -> float | None:
    """1 if the answer is in the question's writing system, 0 if in another, None if either has no letters."""
    asked, answered = script(question), script(answer)
    return float(asked == answered) if asked and answered else None
