"""Two models' answers side by side, and how often the first wins (Zheng et al., 2023), arXiv:2306.05685."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from espalier.catalogue import method
from espalier.contracts import LM, Row, Scorer
from espalier.curating import EachRow, Item, carried, prompt_of, scores_of
from espalier.errors import RecipeError
from espalier.maths.intervals import Interval, wilson
from espalier.rows import Dropped

NAMES = ("first", "second")


def win_rate(wins: int, losses: int, ties: int) -> Interval:
    """(wins + ties / 2) / n with Wilson's 95 % interval.

    Args:
        wins: prompts on which the first model's answer scores higher.
        losses: lower.
        ties: the same.
    """
    return wilson(wins + ties / 2, wins + losses + ties)


@method(paper="arXiv:2306.05685")
@dataclass(frozen=True)
class HeadToHead(EachRow):
    """Have two models answer each prompt and a scorer say whose answer is better.

    A row has prompt, completions (the first model's, the second's), scores, and winner: first, second or tie. Answers
    that are equal are a tie, and the scorer is not asked. A prompt on which it could not say is left out and counted.

    Inputs: rows with prompt, and whatever the scorer reads.
    Relations: AI feedback mixes the models to train on what they say; this measures them.
    """

    lms: tuple[LM, ...] = ()  # two
    scorer: Scorer | None = None
    temperature: float = 0.0
    max_tokens: int = 512  # of an answer
    seed: int = 0

    def each(self, row: Row) -> Iterator[Item]:
        """Both answers with their scores."""
        if len(self.lms) != 2 or self.scorer is None:
            raise RecipeError("synthesis/head_to_head needs two models and a scorer.")
        prompt = prompt_of(row)
        texts = [
            lm.sample([prompt], temperature=self.temperature, max_tokens=self.max_tokens, seed=self.seed)[0][0].text
            for lm in self.lms
        ]
        about = {**carried(row), "completions": texts}
        if texts[0] == texts[1]:
            yield Row(about, row.where, winner="tie")
            return
        one, two = scores_of(row, self.scorer, texts)
        if one is None or two is None:
            yield Dropped(row.where, "the scorer could not say")
            return
        winner = "tie" if one == two else NAMES[one < two]
        yield Row(about, row.where, scores=[one, two], winner=winner)

    def told(self, rows: Sequence[Row]) -> list[str]:
        """The first model's win rate."""
        wins, losses, ties = (sum(row["winner"] == name for row in rows) for name in (*NAMES, "tie"))
        rate = win_rate(wins, losses, ties)
        one, two = (getattr(lm, "name", f"the {name} model") for lm, name in zip(self.lms, NAMES, strict=True))
        between = f"95 % interval {rate.low:.1%} to {rate.high:.1%}"
        return [
            f"{one} against {two}: wins {rate.value:.1%}, a tie being half a win ({between})",
            f"{wins:,} won, {losses:,} lost, {ties:,} tied",
        ]
