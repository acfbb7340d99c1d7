"""Passages filtered by the sentence: which ones help to answer, told from the answer itself or by a model.

A model copies the sentences that help, with the labels that `reading` gives them, or says that none does:

    [1b] Belmi Dorvan worked as a mason.
    [3a] Belmi Dorvan was born in Kastel in 1874.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from espalier import reading
from espalier.citing import locate
from espalier.contracts import Hit, Row
from espalier.errors import RowError
from espalier.strips import Strip, recompose
from espalier.verdicts import concluded

INSTRUCTION = (
    "Copy from the passages the sentences that help to answer the question, each with its label and on a line of its "
    "own, and nothing else. If none helps, reply: none."
)
NONE = "none"
_LABEL = re.compile(r"\[(\d+[a-z])\]")


def string_inclusion(sentence: str, answers: Sequence[str]) -> bool:
    """StrInc: whether a sentence has one of the answers, as whole words: "US" is not in "because".

    Case does not matter, unless the answer is all capitals: "US" is not in "told us" either.
    """
    return any(
        locate(answer, sentence) if answer.isupper() else locate(answer.casefold(), sentence.casefold())
        for answer in answers
        if answer.strip()
    )


def cxmi(given: Sequence[float], alone: Sequence[float]) -> float:
    """Eq. 2: log p(o | t, q) - log p(o | q), in nats: how much likelier a sentence makes the output.

    Where several outputs are right, p is the sum of their probabilities.

    Args:
        given: log-probability of each right output, with the sentence. [outputs]
        alone: the same without it. [outputs]
    """
    with_it, without = _log_sum(given), _log_sum(alone)
    return -math.inf if with_it == -math.inf else with_it - without


def sentences_of(hits: Sequence[Hit]) -> dict[str, Strip]:
    """The sentences of passages by their labels, in order."""
    return {
        label: Strip(hit, start, end, hit.score)
        for number, hit in enumerate(hits, 1)
        for (label, _), (start, end) in zip(reading.labeled(number, hit.text), reading.spans(hit.text), strict=True)
    }


def prompt(question: str, hits: Sequence[Hit]) -> str:
    """What a model reads that filters."""
    return reading.prompt(question, [(hit.title, hit.text) for hit in hits], instruction=INSTRUCTION)


def reply(hits: Sequence[Hit], labels: Collection[str]) -> str:
    """What it should write where these sentences help."""
    lines = [f"[{label}] {text}" for label, text in _labeled(hits) if label in labels]
    return "\n".join(lines) or NONE


def read(text: str, hits: Sequence[Hit]) -> list[str]:
    """The labels of the sentences that a reply names, in order; what a line copies counts more than its label."""
    shown = _labeled(hits)
    known = {label for label, _ in shown}
    copied: dict[str, str] = {}
    for label, sentence in shown:
        copied.setdefault(sentence.casefold(), label)
    found: set[str] = set()
    for said in concluded(text).splitlines():
        words = " ".join(_LABEL.sub(" ", said).split()).casefold()
        found |= {copied[words]} if words in copied else known.intersection(_LABEL.findall(said))
    return [label for label, _ in shown if label in found]


def filtered(hits: Sequence[Hit], labels: Collection[str]) -> tuple[Hit, ...]:
    """The passages with these sentences alone, neighbors joined; whole where there are none."""
    strips = sentences_of(hits)
    kept = [strip if label in labels else replace(strip, score=None) for label, strip in strips.items()]
    return recompose(kept, len(kept), "document") or tuple(hits)


def asked(row: Row) -> tuple[str, tuple[str, ...], tuple[Hit, ...]]:
    """A row's question, the answers that it knows, and its passages.

    Raises:
        RowError: there is no question, or a passage is no text.
    """
    question = row.get("question")
    answers = row.get("answers") if row.get("answers") is not None else row.get("answer")
    if not isinstance(question, str) or not question.strip():
        raise RowError(f"{row.where}: missing 'question'; question, answers and passages are needed.")
    listed = answers if isinstance(answers, list | tuple) else [] if answers is None else [answers]
    listed = [] if row.get("answerable") is False else listed
    found = tuple(str(answer) for answer in listed if str(answer).strip())
    return question, found, tuple(_hit(row, passage) for passage in row.get("passages") or ())


def _hit(row: Row, passage: Any) -> Hit:
    fields = passage if isinstance(passage, Mapping) else {"text": passage}
    text = fields.get("text")
    if not isinstance(text, str) or not text.strip():
        raise RowError(f"{row.where}: a passage of 'passages' is neither a text nor has one under 'text'.")
    return Hit(str(fields.get("id") or ""), 0.0, text, str(fields.get("title") or ""))


def _labeled(hits: Sequence[Hit]) -> list[tuple[str, str]]:
    return [found for number, hit in enumerate(hits, 1) for found in reading.labeled(number, hit.text)]


def _log_sum(logps: Sequence[float]) -> float:
    most = max(logps)
    return most if most == -math.inf else most + math.log(sum(math.exp(logp - most) for logp in logps))
