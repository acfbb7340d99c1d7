"""query2doc (Wang et al., 2023), arXiv:2303.07678."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

from espalier.catalogue import method
from espalier.contracts import LM, Hit, Retriever
from espalier.errors import RecipeError
from espalier.expanding import REMEMBERED, line, written

INSTRUCTION = "Write a passage that answers the query."


def sparse_query(query: str, passage: str, *, repeats: int) -> str:
    """q+ = concat(q x repeats, d'), with spaces between: the query's own terms count more than the passage's."""
    return " ".join([query] * repeats + [passage])


def dense_query(query: str, passage: str, *, separator: str) -> str:
    """q+ = concat(q, separator, d')."""
    return f"{query} {separator} {passage}"


@method(paper="arXiv:2303.07678")
@dataclass(frozen=True)
class Query2doc:
    """Have a model write a passage that answers the query, and search with both texts together.

    Inputs: any retriever; a model; perhaps rows with query and document as examples.
    Relations: hyde takes the mean of vectors instead, of several passages; rm3 expands by passages that were found.
    Departs from the paper: examples of queries with their passages are the user's own; without a file there are none.
    """

    lm: LM
    retriever: Retriever
    form: Literal["auto", "sparse", "dense"] = "auto"  # dense where the retriever is searched by vectors alone
    repeats: int = 5  # times that the query stands before the passage; the paper's n, sparse only
    separator: str = "[SEP]"  # of query and passage, as the embedder writes it; dense only
    examples: str = ""  # rows with query and document; none if empty
    shots: int = 4  # of the examples, the first ones
    temperature: float = 1.0
    max_tokens: int = 128  # of the passage
    seed: int = 0

    def __post_init__(self) -> None:
        if self.repeats < 1 or self.shots < 1:
            raise RecipeError(
                f"expanders/query2doc: repeats is {self.repeats} and shots {self.shots}; both must be at least 1."
            )

    def search(self, query: str, k: int) -> list[Hit]:
        """The best k passages for the query with its passage."""
        return self.retriever.search(self.rewrite(query), k)

    def explain(self, query: str, hit: Hit) -> tuple[tuple[str, float], ...]:
        """What the retriever says of a hit for the longer query."""
        return self.retriever.explain(self.rewrite(query), hit)

    def rewrite(self, query: str) -> str:
        """The query with its passage; as it is where there is no query, or the model writes nothing."""
        passage = self._passage(query)
        if not passage:
            return query
        if self.form == "dense" or (self.form == "auto" and hasattr(self.retriever, "search_vector")):
            return dense_query(query, passage, separator=self.separator)
        return sparse_query(query, passage, repeats=self.repeats)

    @cached_property
    def _passage(self) -> Callable[[str], str]:
        return lru_cache(REMEMBERED)(self._write)

    def _write(self, query: str) -> str:
        if not query.strip():
            return ""
        shown = [f"Query: {asked}\nPassage: {passage}" for asked, passage in self._examples]
        prompt = "\n\n".join([INSTRUCTION, *shown, f"Query: {line(query)}\nPassage:"])
        texts = written(self.lm, prompt, n=1, temperature=self.temperature, max_tokens=self.max_tokens, seed=self.seed)
        return line(texts[0].removeprefix("Passage:")) if texts else ""

    @cached_property
    def _examples(self) -> list[tuple[str, str]]:
        if not self.examples:
            return []
        from espalier.rows import read

        rows = read(self.examples, columns="prompt=query,completion=document", limit=self.shots)
        return [(line(str(row["prompt"])), line(str(row["completion"]))) for row in rows]
