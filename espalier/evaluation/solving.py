"""A pipeline over questions: what it finds and answers, in what time; kept question by question, so that it goes on."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from espalier.contracts import Answer, Hit, Retriever, Strategy
from espalier.evaluation.citations import Entailment, citation_scores, statements_of
from espalier.evaluation.results import Measure
from espalier.evaluation.searching import Depth, Question
from espalier.maths.answers import exact_match, f1
from espalier.maths.scripts import language
from espalier.reading import Reading
from espalier.spending import counting

ANSWERED = {
    "exact_match": Measure("exact match", "higher", share=True),
    "f1": Measure("F1", "higher"),
    "abstained": Measure("abstains from unanswerable questions", "higher", share=True),
    "abstained_falsely": Measure("abstains from answerable questions", "lower", share=True),
    "citation_recall": Measure("citation recall", "higher"),
    "citation_precision": Measure("citation precision", "higher"),
}
KEPT = 10  # hits of each question that are written down
SPENT = ("calls", "prompt_tokens", "completion_tokens", "searches")


@dataclass(frozen=True)
class Outcome:
    """One question: what was found and answered, its part of every number, and what it took."""

    id: str
    scores: dict[str, float]
    seconds: float
    spent: dict[str, int] = field(default_factory=dict)
    hits: list[dict[str, Any]] = field(default_factory=list)
    answer: str | None = None
    citations: list[dict[str, Any]] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)


class Remembered:
    """A retriever that is asked each query once: what a strategy searches again has been found and timed already."""

    def __init__(self, retriever: Retriever) -> None:
        self.retriever, self.searches = retriever, 0
        self._found: dict[str, tuple[int, list[Hit]]] = {}

    def search(self, query: str, k: int) -> list[Hit]:
        depth, hits = self._found.get(query, (0, []))
        if k > depth:
            self.searches += 1
            hits = self.retriever.search(query, k)
            self._found[query] = (k, hits)
        return hits[:k]

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        return self.retriever.explain(query, hit)

    def forget(self) -> None:
        """Begin a new question."""
        self.searches = 0
        self._found.clear()


class Solver:
    """How every question is treated.

    Args:
        retriever: the search.
        reads: makes of the search what answers; None where nothing is answered.
        depth: what counts of a search.
        judge: whether citations support what is said.
    """

    def __init__(
        self,
        retriever: Retriever,
        reads: Callable[[Retriever], Strategy] | None = None,
        *,
        depth: Depth,
        judge: Entailment | None = None,
    ) -> None:
        self.retriever, self.depth, self.judge = Remembered(retriever), depth, judge
        self.strategy = reads(self.retriever) if reads is not None else None

    def solve(self, question: Question) -> Outcome:
        """Search, answer, and measure both; the judging of citations is not timed."""
        retriever, strategy = self.retriever, self.strategy
        retriever.forget()
        begun = time.perf_counter()
        with counting() as spent:
            hits = retriever.search(question.text, self.depth.depth)
            answer = strategy.solve(question.text) if strategy is not None else None
        seconds = time.perf_counter() - begun
        spent["searches"] = retriever.searches
        scores = self.depth.scores(question.wanted, hits)
        if answer is not None:
            scores |= answer_scores(question, answer, self.judge)
        return Outcome(
            id=question.id,
            scores=scores,
            seconds=seconds,
            spent={name: spent[name] for name in SPENT if name in spent},
            hits=[_hit(hit) for hit in hits[:KEPT]],
            answer=answer.text if answer is not None else None,
            citations=[asdict(one) for one in answer.citations] if answer is not None else [],
            trace=list(answer.trace) if answer is not None else [],
        )


def answer_scores(question: Question, answer: Answer, judge: Entailment | None = None) -> dict[str, float]:
    """What an answer is worth; an abstention where there is an answer is a wrong answer, and cites nothing."""
    abstained = Reading(answer.text).abstained
    values: dict[str, float] = {}
    if question.answers is not None and not question.answers:
        values["abstained"] = float(abstained)
    elif question.answers:
        spoken = question.language or language(question.answers[0])
        values["exact_match"] = 0.0 if abstained else exact_match(answer.text, question.answers, spoken)
        values["f1"] = 0.0 if abstained else f1(answer.text, question.answers, spoken)
        values["abstained_falsely"] = float(abstained)
    if judge is not None and (statements := statements_of(question.text, answer)):
        values["citation_recall"], values["citation_precision"] = citation_scores(statements, judge)
    return values


class Kept:
    """The outcomes of one pipeline in a file, one a line behind a line that says with what they were made.

    Args:
        file: where they are; a file made with anything else is begun anew.
        about: everything that an outcome depends on beside its question.
    """

    def __init__(self, file: Path, about: Mapping[str, Any]) -> None:
        self.file, self.about = file, json.loads(json.dumps(about, default=str))
        self._found: dict[str, tuple[str, Outcome]] = {}
        head, *lines = self._lines() or [{}]
        self.current = head.get("about") == self.about
        for line in lines if self.current else ():
            self._found[line["outcome"]["id"]] = (line["question"], Outcome(**line["outcome"]))

    def missing(self, questions: Sequence[Question]) -> list[Question]:
        """Those without an outcome, and those that were changed since."""
        return [one for one in questions if self._found.get(one.id, ("",))[0] != stamp(one)]

    def outcomes(self, questions: Sequence[Question]) -> dict[str, Outcome]:
        """What is there of these questions, by id."""
        there = [one for one in questions if self._found.get(one.id, ("",))[0] == stamp(one)]
        return {one.id: self._found[one.id][1] for one in there}

    def add(self, question: Question, outcome: Outcome) -> None:
        """Write one down; a process that is killed loses at most the line it is writing."""
        if not self.current:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self._write({"about": self.about}, "w")
            self.current = True
        self._write({"question": stamp(question), "outcome": asdict(outcome)}, "a")
        self._found[question.id] = (stamp(question), outcome)

    def _write(self, value: Mapping[str, Any], mode: str) -> None:
        with self.file.open(mode, encoding="utf-8", newline="\n") as out:
            out.write(json.dumps(value, ensure_ascii=False) + "\n")

    def _lines(self) -> list[dict[str, Any]]:
        """The lines, without one that was cut off; a file that ends in one is closed by a line break."""
        if not self.file.exists():
            return []
        found = []
        text = self.file.read_text(encoding="utf-8", errors="replace")
        for line in text.splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        if text and not text.endswith("\n"):
            with self.file.open("a", encoding="utf-8") as out:
                out.write("\n")
        return found


def stamp(question: Question) -> str:
    """The same for the same question, answers and judgments."""
    return hashlib.sha256(repr(question).encode()).hexdigest()[:16]


def _hit(hit: Hit) -> dict[str, Any]:
    found = {"document": hit.document, "start": hit.start, "end": hit.start + len(hit.text), "score": hit.score}
    return found | ({"parts": [asdict(part) for part in hit.parts]} if hit.parts else {})
