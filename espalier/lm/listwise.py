"""What rerankers share that show a model a list of passages and read the order it replies with."""

from __future__ import annotations

from collections.abc import Sequence

from espalier.candidates import Candidates, Ranking, groups_of, scores_of
from espalier.catalogue import address_of
from espalier.contracts import LM, Prompt, Row, Scores
from espalier.errors import RecipeError
from espalier.lm.client import in_threads
from espalier.lm.prompts import fitting
from espalier.windows import check, read_ranking, slide


class Listwise:
    """Base of rerankers that slide a window over the candidates; each says what the model reads."""

    lm: LM
    window: int
    step: int
    passes: int
    words: int
    max_tokens: int

    def __post_init__(self) -> None:
        check(address_of(self), self.window, self.step, self.passes)
        if min(self.words, self.max_tokens) < 1:
            raise RecipeError(f"{address_of(self)}: words and max_tokens must be at least 1.")

    def prompt(self, query: str, passages: Sequence[str], words: int) -> Prompt:
        """What a model reads, at most so many words of each passage."""
        raise NotImplementedError

    def score(self, rows: Sequence[Row]) -> Scores:
        groups = groups_of(rows)
        return scores_of(groups, in_threads(self.rank, groups, getattr(self.lm, "concurrency", 1)))

    def rank(self, group: Candidates) -> Ranking:
        """The order of candidates, and the calls it took."""

        def order(seen: Sequence[int]) -> list[int] | None:
            passages = [group.passages[number] for number in seen]
            prompt = fitting(
                self.lm, lambda words: self.prompt(group.query, passages, words), self.words, self.max_tokens,
                method=address_of(self),
            )  # fmt: skip
            return read_ranking(self.lm.complete(prompt, max_tokens=self.max_tokens)[0])

        return slide(len(group.passages), order, window=self.window, step=self.step, passes=self.passes)
