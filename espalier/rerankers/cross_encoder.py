"""A cross-encoder (Nogueira and Cho, 2019), arXiv:1901.04085: query and passage read together by one classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from espalier.candidates import first_tokens, groups_of
from espalier.catalogue import method
from espalier.contracts import Row, Scores
from espalier.errors import ModelError, RecipeError

if TYPE_CHECKING:
    from torch import Tensor

    from espalier.models.paired import Paired


def relevance(logits: Tensor) -> Tensor:
    """The one logit of a model, or log p(class 1) of its two. [B, 1 or 2] -> [B]"""
    return logits[:, 0] if logits.shape[1] == 1 else logits.log_softmax(-1)[:, 1]


@method(paper="arXiv:1901.04085")
@dataclass(frozen=True)
class CrossEncoder:
    """Order passages by the score of a classification model that reads each together with the query.

    Inputs: rows with query, document and perhaps title.
    Relations: rerankers/mono_t5 reads the score off a word; rerankers/upr needs a language model and no training.
    Departs from the paper: any sequence classification model of one label or two, not BERT alone. A title stands in
    front of the passage; what is too long is cut from the passage, and a query has half of the room at most.
    """

    model: str = "cross-encoder/ms-marco-MiniLM-L6-v2"  # folder or hub id; BAAI/bge-reranker-v2-m3 reads any language
    max_tokens: int = 512  # of query and passage together

    def __post_init__(self) -> None:
        if self.max_tokens < 16:
            raise RecipeError(f"rerankers/cross_encoder: max_tokens is {self.max_tokens}; give at least 16.")

    def score(self, rows: Sequence[Row]) -> Scores:
        groups = groups_of(rows)
        model = self.opened.model
        return self.opened.scores(
            groups, _written, lambda batch: relevance(model(**batch).logits), max_tokens=self.max_tokens
        )

    @cached_property
    def opened(self) -> Paired:
        """The model; it is opened once.

        Raises:
            ModelError: it has no trained classifier of one label or two.
        """
        from transformers import AutoModelForSequenceClassification

        from espalier.models import load
        from espalier.models.paired import Paired

        config = load.load_config(load.place(self.model).model)
        if not load.classifies(config) or config.num_labels not in (1, 2):
            has = f"{config.num_labels} labels" if load.classifies(config) else "no trained classifier"
            raise ModelError(
                f"{self.model}: has {has}; rerankers/cross_encoder needs a sequence classification model of one label "
                "or two. A language model goes with rerankers/upr, rerankers/prp and rerankers/rankgpt."
            )
        return Paired.open(AutoModelForSequenceClassification, self.model, whole=True)


def _written(tokenizer: Any, query: str, passage: str, tokens: int) -> dict[str, list[int]]:
    """Both as the tokenizer joins two texts."""
    query = first_tokens(tokenizer, query, tokens // 2)
    return dict(tokenizer(query, passage, truncation="only_second", max_length=tokens))
