"""The rows that all candidates of a comparison train on and are measured on: the same, in the same order.

What one candidate cannot use, none gets. Candidates that imitate get the liked ones of rated answers only, for the
others are no targets.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from espalier.contracts import Row
from espalier.errors import RowError
from espalier.evaluation.cases import fingerprint
from espalier.planning import Plan
from espalier.recipe import Recipe, Source
from espalier.rows import kind, read
from espalier.run import write_text
from espalier.tables import Table
from espalier.train.unpaired import UnpairedObjective

FORMATS = {"messages": "messages", "text": "plain", "prompt": "plain", "ranked": "plain", "question": "questions"}
LIKED = "label=true"

Key = tuple[int, str, str]  # source, place in it, content


def for_imitation(recipe: Recipe, objective: Any) -> Recipe:
    """The recipe with the liked ones alone of rated answers, where the objective knows of no dislike."""
    if isinstance(objective, UnpairedObjective):
        return recipe
    changed: dict[str, Any] = {}
    for name in ("data", "eval_data"):
        tables = _tables(getattr(recipe, name))
        rated = [_is_rated(Source(**table)) for table in tables]
        if any(rated):
            changed[name] = [_liked(t) if is_rated else t for t, is_rated in zip(tables, rated, strict=True)]
    return replace(recipe, **changed)


def _tables(data: Any) -> list[Table]:
    return [{"path": data}] if isinstance(data, str) else list(data or [])


def _is_rated(source: Source) -> bool:
    found = read(source.path, format=source.format, columns=source.columns, split=source.split)
    return found.kind == "unpaired"


def _liked(table: Table) -> Table:
    return {**table, "where": ",".join(filter(None, [table.get("where", ""), LIKED]))}


@dataclass
class View:
    """The rows of one candidate: the number of each in its store, and how many are of sources to train on."""

    plan: Plan
    liked: bool  # of rated answers it has the liked ones alone
    keys: dict[Key, int] = field(default_factory=dict)
    own: int = 0

    @classmethod
    def of(cls, plan: Plan) -> View:
        """Every row that was kept, by where it stands and what is in it."""
        liked = LIKED in repr(plan.recipe.data)
        sizes = plan.audit.sources
        sources = np.repeat(np.arange(len(sizes)), sizes)
        keys = {}
        for number, source in enumerate(sources.tolist()):
            row = plan.store.row(number)
            keys[source, row.where, fingerprint(row)] = number
        trained = len(_tables(plan.recipe.data))
        return cls(plan, liked, keys, sum(sizes[:trained]))

    def has(self, key: Key, row: Row) -> bool:
        """Whether it can use a row, or is not asked to."""
        return key in self.keys or (self.liked and row.get("label") is False)


@dataclass(frozen=True)
class Shared:
    """What all candidates share.

    Attributes:
        trained: the rows to train on, by source; a source of which none is left is not among them.
        sources: the tables of these sources in the recipe.
        held: those to measure on.
        left_out: how many rows a candidate could use and another could not.
    """

    trained: tuple[tuple[Key, ...], ...]
    sources: tuple[Table, ...]
    held: tuple[Key, ...]
    left_out: int
    base: View

    @classmethod
    def of(cls, views: Sequence[View]) -> Shared:
        """The rows that every candidate can use; those held back are the first one's.

        Raises:
            RowError: there are none.
        """
        base = next((view for view in views if not view.liked), views[0])
        common = {k: n for k, n in base.keys.items() if all(v.has(k, base.plan.store.row(n)) for v in views)}
        held = set(base.plan.held)
        tables = _tables(base.plan.recipe.data)
        trained: list[list[Key]] = [[] for _ in tables]
        for key, number in common.items():
            if number < base.own and number not in held:
                trained[key[0]].append(key)
        there = [at for at, keys in enumerate(trained) if keys]
        if not there:
            raise RowError("there is no row that all candidates can train on; compare fewer of them, or other rows.")
        return cls(
            trained=tuple(tuple(trained[at]) for at in there),
            sources=tuple(tables[at] for at in there),
            held=tuple(key for key, number in common.items() if number in held),
            left_out=len(base.keys) - len(common),
            base=base,
        )

    def numbers(self, view: View) -> list[np.ndarray[Any, Any]]:
        """The rows to train on in a candidate's own store, by source."""
        return [np.array([view.keys[key] for key in keys if key in view.keys], np.int64) for keys in self.trained]

    def rows(self, keys: Sequence[Key]) -> list[Row]:
        """The rows themselves."""
        return [self.base.plan.store.row(self.base.keys[key]) for key in keys]

    def tables(self, folder: Path, view: View) -> tuple[list[Table], list[Table]]:
        """What a recipe says of the files that `write` makes: rows to train on, and to measure on."""
        trained = []
        for number, (keys, source) in enumerate(zip(self.trained, self.sources, strict=True), 1):
            kept: Table = {name: source[name] for name in ("weight", "cap") if name in source}
            trained.append({**self._table(folder / f"train-{number}.jsonl", keys, view), **kept})
        return trained, [self._table(folder / "held.jsonl", self.held, view)] if self.held else []

    def _table(self, file: Path, keys: Sequence[Key], view: View) -> Table:
        [first] = self.rows(keys[:1])
        table: Table = {"path": str(file), "format": FORMATS.get(kind(first), "trl")}
        return table | ({"where": LIKED} if view.liked and "label" in first else {})

    def write(self, folder: Path) -> None:
        """Write the rows; a file that already holds them is left as it is, and with it what was made from it."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {f"train-{number}.jsonl": list(keys) for number, keys in enumerate(self.trained, 1)}
        if self.held:
            files["held.jsonl"] = list(self.held)
        for name, keys in files.items():
            text = "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in self.rows(keys))
            file = folder / name
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                write_text(file, text)
