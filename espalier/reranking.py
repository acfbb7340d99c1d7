"""A search in two stages: what a retriever finds first is ordered again by a scorer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from espalier.contracts import Hit, Part, Retriever, Row, Scorer, Scores
from espalier.errors import RecipeError

DEPTH = 100  # hits that are ordered again
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reranked:
    """A retriever whose first hits are in the order of a scorer.

    Hits that it cannot score, and those below `depth` where more are asked for, stand behind the others in the order
    they had, and lack its part; their scores say no more than that.

    Args:
        retriever: the first stage.
        scorer: of rows with query, document, title and group.
        name: what the second stage is called.
        depth: hits that are scored.
        first: what the first stage is called, unless its hits say so.
    """

    retriever: Retriever
    scorer: Scorer
    name: str
    depth: int = DEPTH
    first: str = "search"

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.depth < 1:
            raise RecipeError(f"{self.name}: depth is {self.depth}; it must be at least 1.")

    def search(self, query: str, k: int) -> list[Hit]:
        """The best k of the hits."""
        if k < 1:
            raise RecipeError(f"k is {k}; it must be at least 1.")
        hits = [
            hit if hit.parts else replace(hit, parts=(Part(self.first, rank, hit.score),))
            for rank, hit in enumerate(self.retriever.search(query, max(k, self.depth)), 1)
        ]
        rows = [Row(query=query, document=hit.text, title=hit.title, group=query) for hit in hits[: self.depth]]
        scores = self.scorer.score(rows) if rows else Scores(())
        if missing := [place for place, value in enumerate(scores.values) if value is None]:
            reason = next((scores.reasons[place] for place in missing if place < len(scores.reasons)), "")
            log.warning(
                "%s could not score %d of %d hits%s",
                self.name,
                len(missing),
                len(rows),
                f": {reason}" if reason else "",
            )
        return self._ordered(hits, scores.values)[:k]

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        """The score of this stage, if it gave one, then what the first stage says of its own."""
        mine = [(part.stage, part.score) for part in hit.parts if part.stage == self.name]
        parts = tuple(part for part in hit.parts if part.stage != self.name)
        before = replace(hit, score=parts[-1].score if parts else hit.score, parts=parts)
        return (*mine, *self.retriever.explain(query, before))

    def _ordered(self, hits: Sequence[Hit], values: Sequence[float | None]) -> list[Hit]:
        """Scored hits first, the best at the top; equal ones stay as they were."""
        scored = sorted(
            ((value, place) for place, value in enumerate(values) if value is not None), key=lambda found: -found[0]
        )
        if not scored:
            return list(hits)
        found = [
            replace(hits[place], score=value, parts=(*hits[place].parts, Part(self.name, rank, value)))
            for rank, (value, place) in enumerate(scored, 1)
        ]
        done = {place for _, place in scored}
        rest = [hit for place, hit in enumerate(hits) if place not in done]
        return [*found, *(replace(hit, score=found[-1].score - behind) for behind, hit in enumerate(rest, 1))]
