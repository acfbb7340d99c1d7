"""Pairs from scored answers (Tunstall et al., 2023, "Zephyr"), arXiv:2310.16944."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from espalier import seeding
from espalier.catalogue import method
from espalier.contracts import Row, Scorer
from espalier.curating import EachRow, Item, carried, given, scored
from espalier.rows import Dropped


def binarized(
    scores: Sequence[float], *, rejected: Literal["random", "worst"] = "random", draw: int = 0
) -> tuple[int, int] | None:
    """Section 3: y_w = the answer with the highest score, y_l = a random one of the others.

    Args:
        scores: of the answers to one prompt; of equal best ones the first is chosen. [G]
        rejected: which of those that score lower is y_l.
        draw: chance, a whole number of 0 or more.

    Returns:
        The places of y_w and y_l; None where no answer scores lower than another.
    """
    best = max(range(len(scores)), key=lambda place: scores[place], default=0)
    lower = [place for place, score in enumerate(scores) if score < scores[best]]
    if not lower:
        return None
    return best, min(lower, key=lambda place: scores[place]) if rejected == "worst" else lower[draw % len(lower)]


@method(paper="arXiv:2310.16944")
@dataclass(frozen=True)
class Binarize(EachRow):
    """Make one pair of each prompt's scored answers: the best against a random one of those that score lower.

    Inputs: rows with prompt, completions and scores; without scores where there is a scorer. A pair has prompt, chosen,
    rejected, chosen_score and rejected_score.
    Relations: best-of-n with emit = "pairs" sets the best against the worst; `rejected = "worst"` does so here.
    Departs from the paper: an answer that scores as high as the best is never the rejected one, and one without a score
    is neither. What is drawn depends on the seed, the prompt and the answers, not on where the row stands.
    """

    scorer: Scorer | None = None  # the rows bring the scores if there is none
    rejected: Literal["random", "worst"] = "random"
    seed: int = 0

    def each(self, row: Row) -> Iterator[Item]:
        """The row's pair."""
        found = given(row) if self.scorer is None else scored(row, self.scorer)
        rated = [(one.completion, one.score) for one in found if one.score is not None]
        if len(rated) < 2:
            yield Dropped(row.where, "fewer than two answers have a score")
            return
        what = json.dumps([row.get("prompt"), [completion for completion, _ in rated]], default=str)
        draw = seeding.derive(self.seed, "binarize", what)
        places = binarized([score for _, score in rated], rejected=self.rejected, draw=draw)
        if places is None:
            yield Dropped(row.where, "all answers score the same")
            return
        (chosen, high), (rejected, low) = (rated[place] for place in places)
        sides = {"chosen": chosen, "rejected": rejected, "chosen_score": high, "rejected_score": low}
        yield Row(carried(row) | sides, row.where)
