"""What curators share: rows that come lazily, what was left out of them with its reason, and candidates scored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from espalier.contracts import LM, Row, Scorer
from espalier.errors import RowError
from espalier.messages import answers_of, text_of
from espalier.rows import Dropped


class Curated(Iterator[Row]):
    """Rows as a curator gives them; `dropped` is what it has left out so far, each with its place and reason."""

    def __init__(self, found: Iterable[Row | Dropped]) -> None:
        self._found = iter(found)
        self.dropped: list[Dropped] = []

    def __next__(self) -> Row:
        """The next row that is kept."""
        for item in self._found:
            if isinstance(item, Row):
                return item
            self.dropped.append(item)
        raise StopIteration


@dataclass(frozen=True)
class Candidate:
    """One answer to a row's prompt, its score (None where the scorer could not say), and whether it came to an end."""

    completion: Any
    score: float | None
    ended: bool = True

    @property
    def text(self) -> str:
        """The answer as text."""
        return "\n".join(text_of(message) for message in answers_of(self.completion))


def carried(row: Row, *without: str) -> dict[str, Any]:
    """A row's columns but for those of its candidates and those named."""
    return {name: value for name, value in row.items() if name not in ("completions", "scores", "ranks", *without)}


def given(row: Row) -> list[Candidate]:
    """The candidates a row brings: `completions`, with `scores` of the same number.

    Raises:
        RowError: they are missing, or not as many.
    """
    completions, scores = row.get("completions"), row.get("scores")
    if not isinstance(completions, list | tuple) or not isinstance(scores, list | tuple):
        raise RowError(f"{row.where}: 'completions' and 'scores' must be lists where no lm and no scorer are given.")
    if len(completions) != len(scores):
        raise RowError(f"{row.where}: {len(completions)} completions and {len(scores)} scores; each needs one.")
    return [Candidate(one, _score(row, score)) for one, score in zip(completions, scores, strict=True)]


def sampled(row: Row, lm: LM, scorer: Scorer, *, options: Mapping[str, Any]) -> list[Candidate]:
    """Answers that a model gives to a row's prompt, scored beside the row's other columns.

    Args:
        row: has a prompt.
        lm: answers.
        scorer: is asked once for all answers, which are one `group`.
        options: those of `LM.sample`: n, temperature, max_tokens, seed.
    """
    if row.get("prompt") is None:
        raise RowError(f"{row.where}: missing 'prompt', to be answered.")
    samples = lm.sample([row["prompt"]], **options)[0]
    scores = _scores(row, scorer, [sample.text for sample in samples])
    return [Candidate(sample.text, score, sample.ended) for sample, score in zip(samples, scores, strict=True)]


def scored(row: Row, scorer: Scorer) -> list[Candidate]:
    """The `completions` that a row brings, scored.

    Raises:
        RowError: there are none.
    """
    completions = row.get("completions")
    if not isinstance(completions, list | tuple):
        raise RowError(f"{row.where}: 'completions' must be a list, to be scored.")
    scores = _scores(row, scorer, completions)
    return [Candidate(one, score) for one, score in zip(completions, scores, strict=True)]


def _scores(row: Row, scorer: Scorer, completions: Sequence[Any]) -> Sequence[float | None]:
    about = carried(row, "completion")
    found = scorer.score([Row(about, row.where, completion=one, group=row.where) for one in completions])
    return [_score(row, value) for value in found.values]


def _score(row: Row, value: Any) -> float | None:
    """A score, or None where there is none."""
    if value is None:
        return None
    if not isinstance(value, bool | int | float):
        raise RowError(f"{row.where}: a score is {value!r}; it must be a number, or nothing where there is none.")
    return None if math.isnan(value) else float(value)
