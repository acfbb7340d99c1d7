"""What curators share: rows that come lazily, what was left out of them with its reason, and candidates scored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from espalier.contracts import LM, Prompt, Row, Scorer
from espalier.errors import RowError
from espalier.messages import answers_of, is_assistant, text_of
from espalier.rows import Dropped

ANSWERS = ("completion", "completions", "scores", "ranks", "chosen", "rejected")  # columns that answer the prompt

Item = Row | Dropped


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


class EachRow:
    """A curator that works on one row at a time, so that what is stopped can go on with the next row.

    `each` does the work. `finish` may order, mark or thin out what came of all rows, and asks no model.
    """

    def each(self, row: Row) -> Iterator[Item]:
        """What comes of a row."""
        raise NotImplementedError

    def finish(self, found: Iterable[Item]) -> Iterable[Item]:
        """What comes of all, in their order."""
        return found

    def curate(self, rows: Iterable[Row]) -> Curated:
        """What comes of the rows, each as soon as it is asked for."""
        return Curated(self.finish(item for row in rows for item in self.each(row)))

    def told(self, rows: Sequence[Row]) -> list[str]:
        """What there is to say of the rows that were made, beside their number."""
        return []


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


def carried(row: Row) -> dict[str, Any]:
    """A row's columns but for those that answer its prompt."""
    rated = isinstance(row.get("label"), bool)
    return {name: value for name, value in row.items() if name not in ANSWERS and not (rated and name == "label")}


def prompted(row: Row) -> Row:
    """The row with the prompt that it has, or that its messages are up to the model's last turn."""
    messages = row.get("messages")
    if row.get("prompt") is not None or not isinstance(messages, list | tuple) or not messages:
        return row
    last = len(messages)
    while last and is_assistant(messages[last - 1]):
        last -= 1
    rest = {name: value for name, value in row.items() if name != "messages"}
    return Row(rest, row.where, prompt=list(messages[:last])) if last else row


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
    samples = lm.sample([prompt_of(row)], **options)[0]
    scores = scores_of(row, scorer, [sample.text for sample in samples])
    return [Candidate(sample.text, score, sample.ended) for sample, score in zip(samples, scores, strict=True)]


def prompt_of(row: Row) -> Prompt:
    """A row's prompt.

    Raises:
        RowError: it has none.
    """
    prompt: Prompt | None = row.get("prompt")
    if prompt is None:
        raise RowError(f"{row.where}: missing 'prompt', to be answered.")
    return prompt


def scored(row: Row, scorer: Scorer) -> list[Candidate]:
    """The `completions` that a row brings, scored.

    Raises:
        RowError: there are none.
    """
    completions = row.get("completions")
    if not isinstance(completions, list | tuple):
        raise RowError(f"{row.where}: 'completions' must be a list, to be scored.")
    scores = scores_of(row, scorer, completions)
    return [Candidate(one, score) for one, score in zip(completions, scores, strict=True)]


def scores_of(row: Row, scorer: Scorer, completions: Sequence[Any]) -> list[float | None]:
    """The scores of completions of a row, which are one `group`, beside the row's other columns."""
    about = carried(row)
    found = scorer.score([Row(about, row.where, completion=one, group=row.where) for one in completions])
    return [_score(row, value) for value in found.values]


def _score(row: Row, value: Any) -> float | None:
    """A score, or None where there is none."""
    if value is None:
        return None
    if not isinstance(value, bool | int | float):
        raise RowError(f"{row.where}: a score is {value!r}; it must be a number, or nothing where there is none.")
    return None if math.isnan(value) else float(value)
