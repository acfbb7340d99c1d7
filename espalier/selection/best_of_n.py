"""Best-of-N sampling (Stiennon et al., 2020, "Learning to summarize from human feedback"), arXiv:2009.01325."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from espalier.catalogue import method
from espalier.contracts import LM, Row, Scorer
from espalier.curating import Candidate, EachRow, Item, carried, given, sampled, scored
from espalier.errors import RecipeError
from espalier.rows import Dropped


def kl_bound(n: int) -> float:
    """log n - (n - 1) / n: how far the best of n samples is from the policy they were drawn from, in nats, at most.

    It is KL(best of n || policy) where no two samples have the same score, and an upper bound otherwise (Beirami et
    al., 2024, arXiv:2401.01879); long taken for the exact value.

    Args:
        n: how many samples the best was chosen from, at least 1.
    """
    return math.log(n) - (n - 1) / n


@method(paper="arXiv:2009.01325")
@dataclass(frozen=True)
class BestOfN(EachRow):
    """Keep of each prompt's answers the one with the highest score, as a row to imitate.

    Inputs: rows with prompt and completions, and with scores where there is no scorer; with a model rows with prompt,
    and whatever the scorer reads. A kept row has prompt, completion, score and `kl_bound`, in nats; a pair sets the
    best answer against the worst.
    Relations: rejection sampling keeps every answer that is right; BOND trains a policy to be the best of n at once.
    Departs from the paper: of equal scores, on which it is silent, the first wins.
    """

    lm: LM | None = None  # samples the answers; the rows bring them if there is none
    scorer: Scorer | None = None  # scores them; the rows bring the scores if there is none
    n: int = 64  # samples of each prompt
    temperature: float = 0.7
    max_tokens: int = 256  # of an answer
    emit: Literal["sft", "pairs", "both"] = "sft"  # the best answers, or pairs of the best and the worst
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a model without a scorer, and no samples."""
        if self.n < 1 or (self.lm is not None and self.scorer is None):
            raise RecipeError("selection/best_of_n: n must be at least 1, and an lm needs a scorer beside it.")

    def each(self, row: Row) -> Iterator[Item]:
        """The best answer, the best against the worst, or both."""
        candidates = [one for one in self._candidates(row) if one.score is not None]
        if not candidates:
            yield Dropped(row.where, "no answer has a score")
            return
        best = max(candidates, key=lambda one: one.score or 0.0)
        if self.emit != "pairs":
            found = {"completion": best.completion, "score": best.score, "kl_bound": kl_bound(len(candidates))}
            yield Row(carried(row) | found, row.where)
        worst = min(candidates, key=lambda one: one.score or 0.0)
        if self.emit != "sft" and worst.score == best.score:
            yield Dropped(row.where, "all answers score the same: no pair")
        elif self.emit != "sft":
            sides = {"chosen": best.completion, "rejected": worst.completion}
            yield Row(carried(row) | sides, row.where, chosen_score=best.score, rejected_score=worst.score)

    def _candidates(self, row: Row) -> list[Candidate]:
        if self.lm is not None and self.scorer is not None:
            options = {"n": self.n, "temperature": self.temperature, "max_tokens": self.max_tokens, "seed": self.seed}
            return sampled(row, self.lm, self.scorer, options=options)
        return given(row) if self.scorer is None else scored(row, self.scorer)
