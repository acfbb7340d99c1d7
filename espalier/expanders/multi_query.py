"""Several wordings of a query, their rankings fused: RAG-Fusion (Rackauckas, 2024), arXiv:2402.03367."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from espalier.catalogue import method
from espalier.contracts import LM, Hit, Part, Retriever
from espalier.errors import RecipeError
from espalier.expanding import REMEMBERED, line, written
from espalier.maths.fusion import reciprocal_rank_score
from espalier.searching import at_least_one

INSTRUCTION = (
    "Write {n} other ways to search for what this query asks for, in its language, each in other words and on a line "
    "of its own with its number, and nothing else."
)
_NUMBERED = re.compile(r"^\s*(?:\d+\s*[.):\uff0e\u3001](?!\d)|[-*\u2022](?=\s))\s*(.*?)\s*$")


def rewrites(reply: str, query: str, n: int) -> tuple[str, ...]:
    """The query, then up to n others that a reply lists; empty ones, and those that say the same, are left out.

    Args:
        reply: numbered lines; where there is no number or bullet at all, every line counts.
        query: as it was asked.
        n: how many are wanted.
    """
    lines = [text for text in reply.splitlines() if text.strip()]
    listed = [match[1] for text in lines if (match := _NUMBERED.match(text))]
    found = {line(query).casefold(): query}
    for text in listed or lines:
        wording = line(text.strip().strip("\"'\u201c\u201d`"))
        if wording:
            found.setdefault(wording.casefold(), wording)
    return tuple(found.values())[: n + 1]


@method(paper="arXiv:2402.03367")
@dataclass(frozen=True)
class MultiQuery:
    """Have a model word the query in other ways, search with each, and order all hits by their reciprocal ranks.

    Inputs: any retriever; a model.
    Relations: hybrid fuses several retrievers instead; query2doc makes one longer query.
    """

    lm: LM
    retriever: Retriever
    n: int = 4  # other wordings; 0 is the plain search
    depth: int = 100  # hits of each that take part
    constant: float = 60.0  # added to every rank
    temperature: float = 0.0
    max_tokens: int = 256  # of all wordings together
    seed: int = 0

    def __post_init__(self) -> None:
        if self.n < 0 or self.depth < 1 or self.constant < 0:
            raise RecipeError("expanders/multi_query: n and constant must be at least 0, depth at least 1.")

    def search(self, query: str, k: int) -> list[Hit]:
        """The best k of what any wording finds; each hit tells in `parts` where and with what score each had it."""
        at_least_one(k)
        queries = self.queries(query)
        if len(queries) == 1:
            return self.retriever.search(query, k)
        found: dict[tuple[str, int, str], Hit] = {}
        for wording in queries:
            for rank, hit in enumerate(self.retriever.search(wording, max(k, self.depth)), 1):
                place = (hit.document, hit.start, hit.text)
                known = found.get(place, replace(hit, score=0.0))
                parts = (*known.parts, Part(wording, rank, hit.score))
                score = known.score + reciprocal_rank_score(rank, constant=self.constant)
                found[place] = replace(known, score=score, parts=parts)
        return sorted(found.values(), key=lambda hit: -hit.score)[:k]

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        """What each wording adds to a hit's score, the largest first."""
        queries = self.queries(query)
        if len(queries) == 1:
            return self.retriever.explain(query, hit)
        mine = {part.stage: part.rank for part in hit.parts if part.stage in queries}
        shares = [(wording, reciprocal_rank_score(rank, constant=self.constant)) for wording, rank in mine.items()]
        return tuple(sorted(shares, key=lambda share: -share[1]))

    @cached_property
    def queries(self) -> Callable[[str], tuple[str, ...]]:
        """From a query to all its wordings, itself first; a model is asked once for each."""
        return lru_cache(REMEMBERED)(self._write)

    def _write(self, query: str) -> tuple[str, ...]:
        if not self.n or not query.strip():
            return (query,)
        texts = written(
            self.lm, f"{INSTRUCTION.format(n=self.n)}\nQuery: {line(query)}", n=1, temperature=self.temperature,
            max_tokens=self.max_tokens, seed=self.seed,
        )  # fmt: skip
        return rewrites(texts[0] if texts else "", query, self.n)
