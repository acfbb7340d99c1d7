"""What a search finds of what holds the answer: questions with judged documents or passages, and their measures.

A judged *document* is found by its id, and a document that was retrieved in several passages counts once, at its best.
A judged *passage* is known by its text: a hit that holds it, or lies in it, has found it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from espalier.contracts import Hit
from espalier.errors import RecipeError
from espalier.evaluation.results import Measure
from espalier.maths.ranking import Places, average_precision, ndcg, recall, reciprocal_rank

CROSSINGS = ("same language", "cross-language")


@dataclass(frozen=True)
class Wanted:
    """A judged document or passage, known by its id, or by its text."""

    id: str = ""
    text: str = ""
    grade: float = 1.0


@dataclass(frozen=True)
class Question:
    """A question, and what is known of its answer.

    Attributes:
        id: the same in every comparison.
        text: what is asked.
        wanted: what should be found.
        answers: what counts as right; none at all asks for an abstention; None where it is not known.
        language: of the question, "" where nothing says it.
        found_in: the language of what holds the answer, "" where nothing says it.
    """

    id: str
    text: str
    wanted: tuple[Wanted, ...] = ()
    answers: tuple[str, ...] | None = None
    language: str = ""
    found_in: str = ""

    @property
    def groups(self) -> tuple[str, ...]:
        """By which its numbers are split: its language, and whether its answer stands in another one."""
        crossed = (CROSSINGS[self.language != self.found_in],) if self.found_in else ()
        return (self.language, *crossed) if self.language else ()


@dataclass(frozen=True)
class Depth:
    """What counts: ranks, and grades."""

    k: int = 5  # passages that are read
    depth: int = 100  # hits that are looked at
    least: float = 1.0  # the grade from which a document is relevant

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.depth:
            raise RecipeError(f"k is {self.k} and depth {self.depth}; 1 <= k <= depth is needed.")

    @property
    def measures(self) -> dict[str, Measure]:
        """What is measured of a search, the first to decide by."""
        found = {"ndcg@10": Measure("nDCG@10", "higher")}
        for k in sorted({self.k, self.depth}):
            found[f"recall@{k}"] = Measure(f"recall@{k}", "higher")
        return found | {
            "reciprocal_rank": Measure(f"reciprocal rank (MRR@{self.depth})", "higher"),
            "average_precision": Measure(f"average precision (MAP@{self.depth})", "higher"),
        }

    @property
    def said(self) -> str:
        """The gain and the threshold."""
        return f"gain: the grade itself; relevant: grade {self.least:g} or more"

    def scores(self, wanted: Sequence[Wanted], hits: Sequence[Hit]) -> dict[str, float]:
        """Every measure of one search; nothing where nothing relevant is known."""
        qrels = {str(number): one.grade for number, one in enumerate(wanted)}
        if not any(grade >= self.least for grade in qrels.values()):
            return {}
        found = places_of(wanted, hits[: self.depth])
        values = {"ndcg@10": min(1.0, ndcg(found, qrels, 10))}  # two passages in one hit would be more than the best
        for k in (self.k, self.depth):
            values[f"recall@{k}"] = recall(found, qrels, k, least=self.least)
        values["reciprocal_rank"] = reciprocal_rank(found, qrels, least=self.least)
        values["average_precision"] = min(1.0, average_precision(found, qrels, least=self.least))
        return values


@dataclass
class _Search:
    """What is still to be found."""

    names: dict[str, list[int]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)


def places_of(wanted: Sequence[Wanted], hits: Sequence[Hit]) -> Places:
    """Where the judged documents or passages stand among the hits."""
    left = _Search()
    for number, one in enumerate(wanted):
        if one.text:
            left.texts[number] = _line(one.text)
        else:
            left.names.setdefault(one.id, []).append(number)
    whole, seen, rank = not left.texts, set(), 0
    found: list[tuple[int, float]] = []
    for hit in hits:
        if whole and hit.document in seen:
            continue
        seen.add(hit.document)
        rank += 1
        for number in _held(hit, left):
            found.append((rank, wanted[number].grade))
    return Places(sorted(found))


def _held(hit: Hit, left: _Search) -> list[int]:
    """What a hit finds, which is then no longer to be found."""
    numbers = [number for name in names_of(hit.document) for number in left.names.pop(name, ())]
    text = _line(hit.text) if left.texts else ""
    numbers += [number for number, part in left.texts.items() if text and (part in text or text in part)]
    for number in numbers:
        left.texts.pop(number, None)
    return numbers


def names_of(document: str) -> tuple[str, ...]:
    """What a judgment may call a document: its name, the id of a row in a file, the file's name without its suffix."""
    row, name = document.partition("#")[2], document.rpartition("/")[2]
    found = (document, row, document.rpartition("#")[2] if row else "", name, document.rpartition(".")[0])
    return tuple(dict.fromkeys(filter(None, found)))


def by_group(questions: Sequence[Question]) -> Mapping[str, tuple[str, ...]]:
    """The ids of each group's questions, largest first: by language where there are several, and crossed or not."""
    found: dict[str, list[str]] = {}
    for question in questions:
        for group in question.groups:
            found.setdefault(group, []).append(question.id)
    crossings = {group: ids for group, ids in found.items() if group in CROSSINGS}
    languages = {group: ids for group, ids in found.items() if group not in CROSSINGS}
    several = [groups for groups in (languages, crossings) if len(groups) > 1]
    together = {group: tuple(ids) for groups in several for group, ids in groups.items()}
    return dict(sorted(together.items(), key=lambda item: -len(item[1])))


def _line(text: str) -> str:
    return " ".join(text.split())
