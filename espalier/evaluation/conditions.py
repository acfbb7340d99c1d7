"""Under which condition a question is asked: what the model is shown beside it.

given            the row's own passages
closed           none
index            the best k passages of an index
distractors=3    the passages that hold the answer and three that do not, shuffled
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from espalier import seeding
from espalier.contracts import Hit, Retriever, Row
from espalier.errors import RecipeError, RowError, unknown
from espalier.evaluation.questions import Gold, Passage, accepted, gold_of, is_question, passages_of, with_passages
from espalier.evaluation.results import Score
from espalier.maths.ranking import recall, reciprocal_rank

KINDS = ("given", "closed", "index", "distractors")
Show = Callable[[Row], tuple[Row, dict[str, Score]]]  # the row as it is shown, and what that alone measures


@dataclass(frozen=True)
class Condition:
    """A way to ask."""

    kind: str  # see KINDS
    number: int = 0  # of distractors

    @property
    def name(self) -> str:
        """As it is written on the command line."""
        return f"{self.kind}={self.number}" if self.kind == "distractors" else self.kind

    @property
    def words(self) -> str:
        """As it is said in a sentence."""
        return {
            "given": "with its passages",
            "closed": "closed-book",
            "index": "with passages from the index",
            "distractors": f"with {self.number} distractor{'s' * (self.number != 1)}",
        }[self.kind]


def parse_conditions(text: str) -> list[Condition]:
    """Conditions from "closed,given,distractors=3".

    Raises:
        RecipeError: one does not exist, or comes twice.
    """
    found = []
    for part in text.split(","):
        kind, equals, number = (piece.strip() for piece in part.partition("="))
        if kind not in KINDS:
            raise RecipeError(unknown("condition", kind, KINDS))
        if kind == "distractors" and not (number.isdecimal() and int(number)):
            raise RecipeError(f"{part.strip()!r}: say how many distractors are shown: distractors=3.")
        if kind != "distractors" and equals:
            raise RecipeError(f"{part.strip()!r}: {kind} takes no number.")
        found.append(Condition(kind, int(number or 0)))
    if len(set(found)) < len(found):
        raise RecipeError(f"conditions {text!r}: each stands once.")
    return found


def show_of(
    condition: Condition, rows: Sequence[Mapping[str, Any]], *, retriever: Retriever | None, k: int, seed: int
) -> Show | None:
    """What arranges rows for a condition; nothing where they are shown as they are.

    Args:
        condition: how to ask.
        rows: all rows: whose passages distract where a row has too few of its own.
        retriever: what `index` searches.
        k: how many of its hits are shown.
        seed: of chance.
    """
    if condition.kind == "given":
        return None
    if condition.kind == "closed":
        return closed
    if condition.kind == "distractors":
        return distracted(rows, condition.number, seed)
    if retriever is None:
        raise RecipeError("the condition index needs an index to search: --index KB.")
    return retrieved(retriever, k)


def closed(row: Row) -> tuple[Row, dict[str, Score]]:
    """The question alone."""
    return with_passages(_asking(row), ()), {}


def retrieved(retriever: Retriever, k: int) -> Show:
    """The best k passages, and how many of those that hold the answer are among them.

    A hit holds the answer if it is from a document named in `gold`, or if one of the two texts lies in the other.
    """

    def show(row: Row) -> tuple[Row, dict[str, Score]]:
        hits = retriever.search(_asking(row)["question"], k)
        gold = gold_of(row)
        matches = [{at for at, one in enumerate(gold) if _is(hit, one)} for hit in hits]
        shown = [
            Passage(hit.text, hit.title, hit.document, bool(match)) for hit, match in zip(hits, matches, strict=True)
        ]
        if not gold:
            return with_passages(row, shown), {}
        wanted = {str(at): 1.0 for at in range(len(gold))}
        places = {str(at): bool(match) for at, match in enumerate(matches)}
        scores: dict[str, Score] = {
            "recall": (recall(list(map(str, set().union(*matches))), wanted), 1.0),
            "reciprocal_rank": (reciprocal_rank(list(places), places), 1.0),
        }
        return with_passages(row, shown), scores

    return show


def distracted(rows: Sequence[Mapping[str, Any]], number: int, seed: int) -> Show:
    """The passages that hold the answer among so many that do not; with no answer, one more of the others.

    The others are the row's `distractors`, then its own passages, then passages of other rows, drawn by chance.
    """
    pool = list({p.text: p for row in rows if is_question(row) for p in _readable(row)}.values())

    def show(row: Row) -> tuple[Row, dict[str, Score]]:
        own = passages_of(_asking(row))
        gold = [passage for passage in own if passage.gold]
        if not gold and accepted(row):
            raise RowError("'gold' does not say which passage holds the answer; the condition distractors needs it")
        wanted = number + (not gold)
        chance = random.Random(seeding.derive(seed, "distractors", row["question"]))
        offered = passages_of(row, "distractors") if isinstance(row.get("distractors"), list | tuple) else ()
        others = {p.text: p for p in (*offered, *own) if not p.gold}
        if len(others) < wanted:
            known, same = {p.text for p in own} | others.keys(), {one.id for one in gold_of(row)} - {""}
            free = [p for p in pool if p.text not in known and p.id not in same]
            others |= {p.text: p for p in chance.sample(free, min(len(free), wanted - len(others)))}
        if len(others) < wanted:
            raise RowError(f"fewer than {wanted} passages to distract with")
        shown = [*gold, *(Passage(p.text, p.title, p.id) for p in list(others.values())[:wanted])]
        chance.shuffle(shown)
        return with_passages(row, shown), {}

    return show


def _asking(row: Row) -> Row:
    if not is_question(row):
        raise RowError("no question with answers; only such rows can be asked under a condition")
    return row


def _readable(row: Mapping[str, Any]) -> tuple[Passage, ...]:
    """A row's passages; those of a row that cannot be read distract nobody, and it is counted where it is asked."""
    try:
        return passages_of(row)
    except RowError:
        return ()


def _is(hit: Hit, gold: Gold) -> bool:
    if gold.id and gold.id in (hit.document, hit.document.rpartition("#")[2], hit.document.rpartition(".")[0]):
        return True
    one, other = (" ".join(text.split()) for text in (hit.text, gold.text))
    return bool(one and other) and (one in other or other in one)
