"""A teacher's answers to imitate, the first step of Zephyr (Tunstall et al., 2023), arXiv:2310.16944."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from espalier.catalogue import method
from espalier.contracts import LM, Row
from espalier.curating import EachRow, Item, carried, prompt_of
from espalier.rows import Dropped


@method(paper="arXiv:2310.16944")
@dataclass(frozen=True)
class Distillation(EachRow):
    """Have a teacher answer each prompt, as rows to imitate.

    Inputs: rows with prompt; what they bring as answers is left out. A row has prompt and completion.
    Relations: rejection sampling keeps only the answers that are right; AI feedback asks several models, and a judge.
    Departs from the paper: prompts of any kind, where it takes dialogues that a teacher has written from topics.
    """

    lm: LM  # the teacher
    temperature: float = 0.7
    max_tokens: int = 512  # of an answer; one that is longer is left out
    seed: int = 0

    def each(self, row: Row) -> Iterator[Item]:
        """The teacher's answer."""
        [[sample]] = self.lm.sample(
            [prompt_of(row)], temperature=self.temperature, max_tokens=self.max_tokens, seed=self.seed
        )
        if not sample.ended:
            yield Dropped(row.where, "cut off by max_tokens")
        elif not sample.text.strip():
            yield Dropped(row.where, "an empty answer")
        else:
            yield Row(carried(row), row.where, completion=sample.text)
