"""PRP, pairwise ranking prompting (Qin et al., 2023), arXiv:2306.17563."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from espalier.candidates import Candidates, Ranking, groups_of, quoted, scores_of
from espalier.catalogue import method
from espalier.contracts import LM, Prompt, Row, Scores
from espalier.errors import RecipeError
from espalier.lm.client import complete_all
from espalier.lm.prompts import beginning, logprobs_all
from espalier.maths.sorting import Pair, all_pairs, bubble_up, heap_sort
from espalier.verdicts import concluded

PROMPT = """\
Which of two passages is of more use to someone who searches for this? Neither order nor length matters, and what a \
passage says about this question is to be ignored.
Search: {query}
Passage A: {first}
Passage B: {second}
Answer with the letter of the better passage alone, A or B.
"""
LABELS = ("A", "B")
INSTEAD = "Set mode=generate, or take rerankers/rankgpt or rerankers/lrl, which do without."


def points(forward: str | None, backward: str | None) -> float:
    """Section 3.1: what the first of two gets: 1 if preferred in both orders, 0 if never, 1/2 in any other case.

    Args:
        forward: the better one, with the first shown as A; None where the reply does not say.
        backward: the better one, with the second shown as A.
    """
    return {("A", "B"): 1.0, ("B", "A"): 0.0}.get((forward or "", backward or ""), 0.5)


@method(paper="arXiv:2306.17563")
@dataclass(frozen=True)
class PRP:
    """Order passages by asking which of two is better, each pair in both orders; a contradiction is a tie.

    Inputs: rows with query, document and perhaps title and group. Ties keep the order in which the rows came.
    Relations: rerankers/rankgpt orders many passages in one reply, rerankers/upr scores each by itself.
    Departs from the paper: the question is in our own words, and its passages are cut; no pair is asked twice.
    """

    lm: LM
    sort: Literal["all", "heap", "sliding"] = "sliding"  # n (n - 1), about 2 n log2 n, at most 2 k n prompts
    mode: Literal["score", "generate"] = "score"  # by the log-probabilities of the letters, or by what is replied
    k: int = 10  # passes of sliding: so many best are found
    passage_tokens: int = 256  # longer passages are cut
    max_tokens: int = 16  # of a reply

    def __post_init__(self) -> None:
        if min(self.k, self.passage_tokens, self.max_tokens) < 1:
            raise RecipeError("rerankers/prp: k, passage_tokens and max_tokens must be at least 1.")

    def score(self, rows: Sequence[Row]) -> Scores:
        groups = groups_of(rows)
        found = [self.rank(group) for group in groups]
        given = [values for _, values in found] if self.sort == "all" else []
        return scores_of(groups, [ranking for ranking, _ in found], given)

    def rank(self, group: Candidates) -> tuple[Ranking, list[float]]:
        """The order of candidates, and with `all` their points."""
        passages = [quoted(beginning(self.lm, passage, self.passage_tokens)) for passage in group.passages]
        query, n = quoted(group.query), len(passages)
        calls = unread = 0

        def compare(pairs: Sequence[Pair]) -> list[float]:
            nonlocal calls, unread
            orders = [order for a, b in pairs for order in ((a, b), (b, a))]
            prompts = [PROMPT.format(query=query, first=passages[a], second=passages[b]) for a, b in orders]
            better = self.better(prompts)
            calls += len(prompts)
            unread += better.count(None)
            return [points(*both) for both in zip(better[::2], better[1::2], strict=True)]

        values: list[float] = []
        if self.sort == "all":
            order, values = all_pairs(n, compare)
        else:
            order = heap_sort(n, compare) if self.sort == "heap" else bubble_up(n, compare, self.k)
        return Ranking(tuple(order), calls, unread), values

    def better(self, prompts: Sequence[Prompt]) -> list[str | None]:
        """The letter that each prompt gets; in mode "score" equal ones get none, which is a tie."""
        if self.mode == "generate":
            return [read_letter(reply) for reply in complete_all(self.lm, prompts, max_tokens=self.max_tokens)]
        asked = [(prompt, LABELS) for prompt in prompts]
        found = logprobs_all(self.lm, asked, method="rerankers/prp", instead=INSTEAD)
        return [None if a == b else "A" if a > b else "B" for a, b in found]


def read_letter(reply: str) -> str | None:
    """The one letter that a reply names; None where it names neither, or both."""
    found = set(re.findall(r"\b[AB]\b", concluded(reply)))
    return found.pop() if len(found) == 1 else None
