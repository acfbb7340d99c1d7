"""Passages drawn from an index by chance, evenly over languages and documents."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from espalier import seeding
from espalier.contracts import Row
from espalier.errors import RecipeError
from espalier.knowledge.store import Store
from espalier.maths.scripts import words
from espalier.question_checks import spoken

FEWEST = 12  # words of a passage that can be asked about; in Korean, Chinese and Japanese characters
ROUND = 3.0  # passages drawn at most for each question that is lacking

Kind = tuple[str, str]  # language of the passage, language of the question


@dataclass
class Drawing:
    """Passages in the order in which they are to be asked about.

    Args:
        store: the index.
        kinds: what is wanted: languages of passage and question.
        seed: of the order.
        waiting: numbers of the passages of each language, next one first.
        short: how many were too short.
    """

    store: Store
    kinds: tuple[Kind, ...]
    seed: int
    waiting: Mapping[str, deque[int]]
    short: int = 0
    drawn: Counter[Kind] = field(default_factory=Counter)

    @classmethod
    def of(cls, store: Store, *, languages: Sequence[str] = (), cross: Sequence[Kind] = (), seed: int = 0) -> Drawing:
        """The passages of an index.

        Args:
            store: the index.
            languages: of passages that are asked about in their own language; all that there are by default.
            cross: languages of passages and of the questions to be asked about them.
            seed: of the order.

        Raises:
            RecipeError: there is no passage in one of the languages, or none at all that is long enough.
        """
        found: dict[str, dict[str, list[int]]] = {}
        short = 0
        for passage in store.passages():
            if len(words(passage.text)) < FEWEST:
                short += 1
                continue
            found.setdefault(spoken(passage.text), {}).setdefault(passage.document, []).append(passage.number)
        if not found:
            raise RecipeError(f"{store.path} has no passage of {FEWEST} words or more to ask about.")
        kinds = [(lang, lang) for lang in languages or sorted(found)] + list(cross)
        for lang, _ in kinds:
            if lang not in found:
                has = ", ".join(f"{name} ({_count(parts):,})" for name, parts in sorted(found.items()))
                raise RecipeError(f"{store.path} has no passage in {lang!r} to ask about. It has: {has}.")
        waiting = {lang: deque(_evenly(found[lang], seeding.derive(seed, "passages", lang))) for lang, _ in kinds}
        return cls(store, tuple(dict.fromkeys(kinds)), seed, waiting, short)

    def more(self, n: int, kept: Mapping[Kind, int]) -> list[Row]:
        """Passages for the questions that are lacking, more of them where few came of those before; none are left else.

        Args:
            n: questions wanted in all.
            kept: questions there are.
        """
        missing, rows = n - sum(kept.values()), list[Row]()
        if missing <= 0:
            return rows
        for kind, lacks in self._lacking(n, kept).items():
            rate = max(kept.get(kind, 0) / self.drawn[kind], 1 / ROUND) if self.drawn[kind] else 1.0
            for _ in range(min(ceil(lacks / rate), len(self.waiting[kind[0]]))):
                rows.append(self._row(self.waiting[kind[0]].popleft(), kind))
                self.drawn[kind] += 1
        return rows

    def _lacking(self, n: int, kept: Mapping[Kind, int]) -> dict[Kind, int]:
        """How many questions each kind is short of, where those that have run out leave their share to the others."""
        open_kinds = [kind for kind in self.kinds if self.waiting[kind[0]]]
        missing = n - sum(kept.values())
        lacking: Counter[Kind] = Counter()
        for _ in range(missing):
            if open_kinds:
                lacking[min(open_kinds, key=lambda kind: kept.get(kind, 0) + lacking[kind])] += 1
        return {kind: lacking[kind] for kind in open_kinds if lacking[kind]}

    def _row(self, number: int, kind: Kind) -> Row:
        passage = self.store.passage(number)
        held, lang = kind
        return Row(
            where=f"{passage.document}, {passage.start:,} to {passage.end:,}",
            text=passage.text, title=passage.title, document=passage.document, start=passage.start,
            place=passage.place, gold_lang=held, lang=lang,
        )  # fmt: skip


def _evenly(documents: Mapping[str, list[int]], seed: int) -> Iterator[int]:
    """One passage of each document, then a second of each that has more, and so on; both in an order by chance."""
    draw = random.Random(seed)
    queues = [draw.sample(documents[name], len(documents[name])) for name in sorted(documents)]
    draw.shuffle(queues)
    for turn in range(max(map(len, queues))):
        yield from (queue[turn] for queue in queues if turn < len(queue))


def _count(documents: Mapping[str, Collection[int]]) -> int:
    return sum(map(len, documents.values()))
