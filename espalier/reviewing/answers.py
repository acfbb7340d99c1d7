"""Two answers to each row's prompt: by models, runs or servers, or as a file has them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espalier import reading
from espalier.contracts import LM, Row
from espalier.curating import EachRow, Item, prompt_of, prompted
from espalier.errors import RowError
from espalier.evaluation.questions import passages_of
from espalier.messages import answers_of, history_of, text_of
from espalier.rows import Dropped, read

FILES = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".ndjson")


def is_file(name: str) -> bool:
    """Whether a name is a file of answers, not something that answers."""
    path = Path(name).expanduser()
    return path.is_file() and any(suffix in FILES for suffix in path.suffixes)


def asking(source: str, *, columns: str | None = None, limit: int | None = None) -> list[Row]:
    """Rows as prompts; a question is asked with the passages that it brings."""
    return [_asking(row) for row in read(source, columns=columns, limit=limit)]


def _asking(row: Row) -> Row:
    if "prompt" in row or "question" not in row:
        found = prompted(row)
        prompt_of(found)
        return Row({"prompt": found["prompt"]}, row.where)
    shown = [(passage.title, passage.text) for passage in passages_of(row)]
    return Row({"prompt": reading.prompt(str(row["question"]), shown)}, row.where)


def written(source: str, *, columns: str | None = None) -> dict[str, str]:
    """The answers in a file, by their prompts; of several to a prompt the first.

    Raises:
        RowError: it has no answers.
    """
    found: dict[str, str] = {}
    for row in read(source, columns=columns):
        text = _answer(row)
        if text is not None:
            for key in _keys(row):
                found.setdefault(key, text)
    if not found:
        raise RowError(f"{source} holds no answers; rows need prompt and completion.")
    return found


@dataclass(frozen=True)
class Both(EachRow):
    """Put both answers beside each prompt.

    Args:
        sides: two, each a model or the answers of a file.
        max_tokens: longest answer of a model.
        temperature: of models.
        seed: of models.
    """

    sides: tuple[LM | Mapping[str, str], ...]
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0

    def each(self, row: Row) -> Iterator[Item]:
        """The row with two answers, or which is missing."""
        texts = [self._text(side, row) for side in self.sides]
        if None in texts:
            yield Dropped(row.where, f"no answer of {'AB'[texts.index(None)]} in its file")
        elif not all(text and text.strip() for text in texts):
            yield Dropped(row.where, "an empty answer")
        else:
            yield Row({"prompt": row["prompt"], "answers": texts}, row.where)

    def _text(self, side: LM | Mapping[str, str], row: Row) -> str | None:
        if isinstance(side, Mapping):
            return side.get(key_of(row["prompt"]))
        options: dict[str, Any] = {"temperature": self.temperature, "max_tokens": self.max_tokens, "seed": self.seed}
        return side.complete(row["prompt"], **options)[0]


def key_of(prompt: Any) -> str:
    """A prompt by what is said in it."""
    return json.dumps([[message.get("role"), text_of(message).strip()] for message in history_of(prompt)])


def _keys(row: Row) -> Sequence[str]:
    if row.get("prompt") is not None or row.get("messages") is not None:
        return [key_of(prompt_of(prompted(row)))]
    question = row.get("question")
    return [key_of(_asking(row)["prompt"]), key_of(str(question))] if question is not None else []


def _answer(row: Row) -> str | None:
    """What answers a row's prompt: its completion, the last turn, or the first accepted answer."""
    if row.get("completion") is not None:
        return "\n".join(text_of(message) for message in answers_of(row["completion"]))
    if row.get("messages"):
        return text_of(row["messages"][-1])
    answers = row.get("answers") or ()
    return str(answers[0]) if answers else None
