"""A way to search and to answer, written as its parts from first to last: "bm25+rm3+upr+flare".

A part is a method of `retrievers` (the first; bm25 if none is named), any number of `expanders` and `rerankers`, and at
most one of `rag`, each by its bare name. Each wraps what stands before it: "bm25+upr+rm3" rewrites the query of a
search whose hits upr has ordered, "bm25+rm3+upr" orders what the rewritten query finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from espalier.catalogue import addresses, build, load, resolve
from espalier.contracts import LM, Retriever, Strategy
from espalier.errors import RecipeError, unknown
from espalier.knowledge.store import Store
from espalier.overrides import read_value
from espalier.tables import Table

FAMILIES = ("retrievers", "expanders", "rerankers", "rag")
RETRIEVER, STRATEGY = "retrievers/bm25", "rag/retrieve_then_read"
DEPTH = 100  # hits that a reranker orders


@dataclass(frozen=True)
class Stage:
    """One part: the address of its method, and its options."""

    address: str
    options: Table

    @property
    def family(self) -> str:
        """Its folder."""
        return self.address.partition("/")[0]

    @property
    def asks(self) -> bool:
        """Whether it asks a language model."""
        return "lm" in {field.name for field in fields(load(self.address))}


@dataclass(frozen=True)
class Pipeline:
    """Parts in their order; the first is a retriever."""

    name: str  # as it was written
    stages: tuple[Stage, ...]

    @classmethod
    def parse(cls, text: str, settings: Sequence[str] = ()) -> Pipeline:
        """A pipeline from its name.

        Args:
            text: bare names of methods with "+" between them; empty is bm25.
            settings: options of its parts, "rm3.terms=20"; those of parts that it lacks do not concern it.

        Raises:
            RecipeError: a part does not exist or stands in the wrong place, or an option does not exist.
        """
        options = _options(settings)
        names = [part.strip() for part in text.split("+") if part.strip()]
        found = [_address(name) for name in names]
        if not found or not found[0].startswith("retrievers/"):
            found.insert(0, RETRIEVER)
        stages = tuple(Stage(address, options.get(address, {})) for address in found)
        _check(text, stages)
        return cls("+".join(names) or "bm25", stages)

    @property
    def strategy(self) -> Stage | None:
        """What answers, if it does more than search."""
        return self.stages[-1] if self.stages[-1].family == "rag" else None

    @property
    def asks(self) -> bool:
        """Whether one of its parts asks a language model."""
        return any(stage.asks for stage in self.stages)

    def retriever(self, store: Store, lm: LM | None = None, *, depth: int = DEPTH) -> Retriever:
        """Its search over an index.

        Args:
            store: the index.
            lm: the model that its parts ask.
            depth: hits that a reranker orders.

        Raises:
            EspalierError: the index lacks what the retriever searches, or a part asks a model and there is none.
        """
        from espalier.reranking import Reranked

        first, *others = [stage for stage in self.stages if stage is not self.strategy]
        found: Retriever = build({"method": first.address, **first.options}).open(store)
        for stage in others:
            if stage.family == "expanders":
                found = self._built(stage, lm, retriever=found)
            else:
                name, before = (one.address.partition("/")[2] for one in (stage, first))
                found = Reranked(found, self._built(stage, lm), name, depth, first=before)
        return found

    def solver(self, retriever: Retriever, lm: LM, **options: Any) -> Strategy:
        """What answers with its search: its own strategy, or to retrieve and read.

        Args:
            retriever: its search.
            lm: the model that reads.
            options: of the strategy, unless the pipeline sets them; those that it lacks are left out.
        """
        stage = self.strategy or Stage(STRATEGY, {})
        known = {field.name for field in fields(load(stage.address))}
        given = {name: value for name, value in options.items() if name in known and name not in stage.options}
        found: Strategy = self._built(stage, lm, retriever=retriever, **given)
        return found

    def _built(self, stage: Stage, lm: LM | None, **more: Any) -> Any:
        if not stage.asks:
            return build({"method": stage.address, **stage.options, **more})
        if lm is None:
            raise RecipeError(f"{self.name}: {stage.address} asks a language model; name it with --model.")
        return build({"method": stage.address, **stage.options, **more, "lm": lm})


def _options(settings: Sequence[str]) -> dict[str, Table]:
    """Options by address, from "rm3.terms=20"."""
    found: dict[str, Table] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        part, dot, option = name.partition(".")
        if not (equals and dot):
            raise RecipeError(f"{setting!r} is no setting of a part; write PART.OPTION=VALUE, such as rm3.terms=20.")
        found.setdefault(_address(part), {})[option] = read_value(value)
    return found


def _address(name: str) -> str:
    known = {address.partition("/")[2]: address for family in FAMILIES for address in addresses(family)}
    if "." in name or ":" in name or "/" in name:
        return resolve(name)
    if name not in known:
        raise RecipeError(unknown("part of a pipeline", name, known))
    return known[name]


def _check(text: str, stages: Sequence[Stage]) -> None:
    """Refuse what does not fit together, before anything is opened."""
    for place, stage in enumerate(stages):
        if stage.family == "retrievers" and place:
            raise RecipeError(f"{text!r}: {stage.address} is a retriever and stands first, and once.")
        if stage.family == "rag" and place < len(stages) - 1:
            raise RecipeError(f"{text!r}: {stage.address} answers the question and stands last.")
        known = {field.name for field in fields(load(stage.address))}
        for option in stage.options:
            if option not in known:
                raise RecipeError(unknown(f"option of {stage.address}", option, known))
