"""Hallucinations: the stretches of a completion that its passages do not support, and what finds them.

A row has `completion` and `passages`, texts or {"text", "title"}, perhaps `question`; its `labels`, as RAGTruth has
them, are {"start", "end", "label_type"} of the completion. A detector gives each row its spans, and is a scorer of how
far the passages support the completion: 1 is wholly.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from espalier.citing import locate
from espalier.contracts import Row, Scores
from espalier.errors import RowError
from espalier.verdicts import completion_text, concluded

KINDS = ("conflict", "baseless")  # the passages say otherwise; they do not say it


@dataclass(frozen=True)
class Span:
    """A stretch that is not supported: text[start:end] of the completion."""

    start: int
    end: int
    kind: str = ""  # one of KINDS, where that is known


@dataclass(frozen=True)
class Found:
    """What a detector says of a row; without a score it could not say, and there are no spans."""

    spans: tuple[Span, ...] = ()
    score: float | None = None  # how far the completion is supported, 0 to 1; what that measures is the detector's
    lost: tuple[str, ...] = ()  # what it named that does not stand in the completion
    reason: str = ""  # why there is no score


class Detector(Protocol):
    """Finds what is not supported."""

    def detect(self, rows: Sequence[Row]) -> list[Found]: ...


class SupportScorer:
    """Base of detectors, which makes each of them a scorer."""

    def detect(self, rows: Sequence[Row]) -> list[Found]:
        """What is not supported, for each row."""
        raise NotImplementedError

    def score(self, rows: Sequence[Row]) -> Scores:
        """How far the passages support each completion."""
        found = self.detect(rows)
        return Scores(tuple(one.score for one in found), tuple(one.reason for one in found))


def share_supported(completion: str, spans: Sequence[Span]) -> float:
    """The share of a completion's characters that stand in no span; spaces do not count."""
    counted = [at for at, char in enumerate(completion) if not char.isspace()]
    covered = {at for span in spans for at in range(span.start, span.end)}
    return sum(at not in covered for at in counted) / len(counted) if counted else 1.0


def said(row: Row) -> tuple[str, list[tuple[str, str]]]:
    """A row's completion, and title and text of each of its passages.

    Raises:
        RowError: one of them is missing.
    """
    passages = row.get("passages")
    if row.get("completion") is None or not isinstance(passages, Sequence) or isinstance(passages, str):
        raise RowError(f"{row.where}: a detector of hallucinations needs 'completion' and a list of 'passages'.")
    return completion_text(row), [_passage(row, passage) for passage in passages]


def labeled(row: Row, *, implicit_true: bool = True) -> list[tuple[Span, str]]:
    """The labeled spans of a row, and the type of each.

    Args:
        row: with completion and labels.
        implicit_true: whether spans that are true, though the passages do not say so, are among them.

    Raises:
        RowError: there are no labels, or one does not lie in the completion.
    """
    if not isinstance(row.get("labels"), list):
        raise RowError(f"{row.where}: 'labels' is missing, the list of its hallucinations, which may be empty.")
    length = len(completion_text(row))
    found = []
    for label in row["labels"]:
        start, end, name = (label.get(field) for field in ("start", "end", "label_type"))
        if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= length):
            raise RowError(f"{row.where}: a label from {start!r} to {end!r} does not lie in its completion.")
        if implicit_true or not label.get("implicit_true"):
            found.append((Span(start, end, kind_of(str(name or ""))), str(name or "")))
    return found


def kind_of(name: str) -> str:
    """The kind in a label's type: conflict of "Evident Conflict", baseless of "Subtle Baseless Info"."""
    return next((kind for kind in KINDS if kind in name.casefold()), "")


def found_in(reply: str, completion: str) -> Found:
    """The spans that a reply names: each where it stands first, and named again where it stands next."""
    parts = listed(concluded(reply))
    if parts is None:
        return Found(reason="no list of parts in the reply")
    spans: list[Span] = []
    lost: list[str] = []
    after: dict[str, int] = {}
    for kind, part in parts:
        start = after.get(part, 0)
        if place := locate(part, completion[start:]):
            spans.append(Span(start + place[0], start + place[1], kind))
            after[part] = spans[-1].end
        elif part not in after:
            lost.append(part)
    if lost and not spans:
        return Found(lost=tuple(lost), reason="nothing that it names stands in the completion")
    return Found(tuple(spans), share_supported(completion, spans), tuple(lost))


def listed(reply: str) -> list[tuple[str, str]] | None:
    """Kind and text of each part in the last JSON object of a reply that lists some, or in a list that stands alone.

    RAGTruth's own {"hallucination list": [...]} is read too. None where there is no such thing, or it is cut short.
    """
    found, at = None, 0
    opening = "{" if "{" in reply else "["
    while (at := reply.find(opening, at)) >= 0:
        try:
            value, length = json.JSONDecoder().raw_decode(reply[at:])
        except (ValueError, RecursionError):
            at += 1
            continue
        at += length
        parts = list(_parts(value)) if isinstance(value, dict) else [("", value)]
        if parts and all(isinstance(texts, list) for _, texts in parts):
            found = [(kind, _text(part)) for kind, texts in parts for part in texts]
    return found


def _passage(row: Row, passage: Any) -> tuple[str, str]:
    found = {"text": passage} if isinstance(passage, str) else passage
    if not isinstance(found, Mapping) or not isinstance(found.get("text"), str):
        raise RowError(f"{row.where}: a passage is a text, or an object with 'text' and perhaps 'title'.")
    return str(found.get("title") or ""), found["text"]


def _parts(table: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if kind_of(name) or name.casefold().startswith("hallucination"):
            yield kind_of(name), value


def _text(part: Any) -> str:
    part = part.get("text") if isinstance(part, dict) else part
    return part if isinstance(part, str) else json.dumps(part)
