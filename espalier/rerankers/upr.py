"""UPR, unsupervised passage reranking (Sachan et al., 2022), arXiv:2204.07496."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from espalier.candidates import groups_of
from espalier.catalogue import method
from espalier.contracts import LM, Row, Scores
from espalier.errors import RecipeError
from espalier.lm.prompts import beginning, count_tokens, logprobs_all

INSTRUCTION = "Write a question that only this passage answers."
INSTEAD = "rerankers/rankgpt, rerankers/lrl and rerankers/prp with mode=generate do without."


def upr_score(logp: float, tokens: int) -> float:
    """Equation 2: (1 / |q|) sum_t log p(q_t | q_<t, passage), in nats a token.

    Args:
        logp: log p(query | passage), in nats.
        tokens: of the query, |q|.
    """
    return logp / tokens


@method(paper="arXiv:2204.07496")
@dataclass(frozen=True)
class UPR:
    """Order passages by how likely a model finds the query as a question about each, without any training.

    Inputs: rows with query, document and perhaps title; a model with log-probabilities.
    Relations: rerankers/prp compares two passages, rerankers/rankgpt orders twenty; this asks once for each.
    Departs from the paper: the instruction is in our own words, and a passage too long does not push it out, as in the
    authors' code. T5 and T0, which the paper uses, read the passage with an encoder: no client here asks such a model.
    A model on this machine counts the end of its turn as the query's.
    """

    lm: LM
    passage_tokens: int = 512  # longer passages are cut
    query_tokens: int = 128
    instruction: str = INSTRUCTION  # stands behind the passage

    def __post_init__(self) -> None:
        if min(self.passage_tokens, self.query_tokens) < 1:
            raise RecipeError("rerankers/upr: passage_tokens and query_tokens must be at least 1.")

    def score(self, rows: Sequence[Row]) -> Scores:
        groups = groups_of(rows)
        values: list[float | None] = [None] * len(rows)
        asked = []
        lengths: list[int] = []
        for group in groups:
            query = beginning(self.lm, " ".join(group.query.split()), self.query_tokens)
            asked += [(self.prompt(passage), [query]) for passage in group.passages]
            lengths += [count_tokens(self.lm, query)] * len(group.passages)
        found = logprobs_all(self.lm, asked, method="rerankers/upr", instead=INSTEAD)
        places = [row for group in groups for row in group.rows]
        for row, [logp], tokens in zip(places, found, lengths, strict=True):
            values[row] = upr_score(logp, tokens)
        return Scores(tuple(values))

    def prompt(self, passage: str) -> str:
        """What a model reads before the query: the passage on a line of its own, whatever it says."""
        line = " ".join(beginning(self.lm, passage, self.passage_tokens).split())
        return f"Passage: {line}\n{self.instruction}\n"
