"""Answers of several models, scored by a judge (Cui et al., 2023, "UltraFeedback"), arXiv:2310.01377."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from espalier import seeding
from espalier.catalogue import method
from espalier.contracts import LM, Row, Sample, Scorer
from espalier.curating import EachRow, Item, carried, prompt_of, scores_of
from espalier.errors import RecipeError, RowError
from espalier.rows import Dropped


@method(paper="arXiv:2310.01377")
@dataclass(frozen=True)
class AIFeedback(EachRow):
    """Have several models answer each prompt, and a judge score the answers.

    A row has prompt, completions, the `models` they are from, and scores: nothing where the judge gave none. The two
    halves may be two steps: without a scorer nothing is scored, and without models the rows bring the completions.

    Inputs: rows with prompt, or with prompt and completions.
    Relations: selection/binarize makes pairs of the scored answers; best-of-n keeps the best of one model's.
    Departs from the paper: one overall score instead of four and a critique; no principles in the prompts; answers that
    are equal, empty or cut off by max_tokens are left out before they are scored.
    """

    lms: tuple[LM, ...] = ()  # who answers, in turns, in an order drawn for each prompt
    scorer: Scorer | None = None
    n: int = 4  # answers to each prompt
    temperature: float = 1.0
    max_tokens: int = 512  # of an answer
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse fewer answers than can be compared."""
        if self.n < 2:
            raise RecipeError("synthesis/ai_feedback: n must be at least 2.")

    def each(self, row: Row) -> Iterator[Item]:
        """The row with its answers, and what is wrong with others."""
        if not self.lms and self.scorer is None:
            raise RecipeError("synthesis/ai_feedback needs models that answer, a scorer, or both.")
        answers: dict[str, str] = {}
        for number, (name, sample) in enumerate(self._answers(row) if self.lms else self._given(row), 1):
            reason = (
                "cut off by max_tokens" if not sample.ended
                else "an empty answer" if not sample.text.strip()
                else "equal to another answer" if sample.text in answers
                else ""
            )  # fmt: skip
            if reason:
                yield Dropped(f"{row.where}, answer {number}", reason)
            else:
                answers[sample.text] = name
        if len(answers) < 2:
            yield Dropped(row.where, "fewer than two answers")
            return
        found = {**carried(row), "completions": list(answers), "models": list(answers.values())}
        if self.scorer is not None:
            found["scores"] = scores_of(row, self.scorer, list(answers))
            if sum(score is not None for score in found["scores"]) < 2:
                yield Dropped(row.where, "fewer than two answers have a score")
                return
        yield Row(found, row.where)

    def _answers(self, row: Row) -> Iterator[tuple[str, Sample]]:
        """Answers of models that take turns, each with its model's name."""
        prompt = prompt_of(row)
        lms = list(self.lms)
        random.Random(seeding.derive(self.seed, "models", str(prompt))).shuffle(lms)
        for place, lm in enumerate(lms[: self.n]):
            share = len(range(place, self.n, len(lms)))
            [samples] = lm.sample(
                [prompt], n=share, temperature=self.temperature, max_tokens=self.max_tokens, seed=self.seed
            )
            yield from ((str(getattr(lm, "name", type(lm).__name__)), sample) for sample in samples)

    def _given(self, row: Row) -> Iterator[tuple[str, Sample]]:
        completions = row.get("completions")
        if not isinstance(completions, list | tuple) or not all(isinstance(each, str) for each in completions):
            raise RowError(f"{row.where}: 'completions' must be a list of texts where no model answers.")
        models = row.get("models")
        names = models if isinstance(models, list) and len(models) == len(completions) else [""] * len(completions)
        yield from ((str(name), Sample(text)) for name, text in zip(names, completions, strict=True))
