"""monoT5 (Nogueira et al., 2020), arXiv:2003.06713: relevance as the probability of one word against another."""

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

BEFORE, BETWEEN, AFTER = "Query: ", " Document: ", " Relevant:"  # as its models were trained


def relevance(logits: Tensor, words: Sequence[int]) -> Tensor:
    """Section 3: log p(true) when only the two words can follow, in nats.

    Args:
        logits: of the next token. [B, V]
        words: the ids of "true" and "false".
    """
    return logits[:, list(words)].log_softmax(-1)[:, 0]


@method(paper="arXiv:2003.06713")
@dataclass(frozen=True)
class MonoT5:
    """Order passages by how likely a model trained for it says "true", not "false", after query and passage.

    Inputs: rows with query, document and perhaps title.
    Relations: rerankers/cross_encoder has a classifier in place of the two words.
    Departs from the paper: a causal model that was trained in this form will do as well as T5. A title stands in front
    of the passage; what is too long is cut from the passage, so that the question at the end is never lost.
    """

    model: str = "castorini/monot5-base-msmarco-10k"  # folder or hub id, with safetensors
    words: tuple[str, str] = ("true", "false")
    max_tokens: int = 512  # of query and passage together

    def __post_init__(self) -> None:
        if self.max_tokens < 32 or not all(self.words) or self.words[0] == self.words[1]:
            raise RecipeError("rerankers/mono_t5: give two different words, and max_tokens of at least 32.")

    def score(self, rows: Sequence[Row]) -> Scores:
        groups = groups_of(rows)
        return self.opened.scores(groups, self._written, self._read, max_tokens=self.max_tokens)

    @cached_property
    def opened(self) -> Paired:
        """The model; it is opened once."""
        from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

        from espalier.models import load
        from espalier.models.paired import Paired

        config = load.load_config(load.place(self.model).model)
        load.require_text(self.model, config)
        kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        return Paired.open(kind, self.model, whole=True)

    @cached_property
    def ids(self) -> tuple[int, int]:
        """The tokens of the two words.

        Raises:
            ModelError: they begin with the same token.
        """
        from espalier.tokens import Codec

        tokenizer = self.opened.tokenizer
        alone = self.opened.model.config.is_encoder_decoder  # the decoder begins with the word
        first, second = (
            tokenizer.encode(word, add_special_tokens=False)[0]
            if alone
            else Codec(tokenizer).encode(f" {word}", True)[0]
            for word in self.words
        )
        if first == second:
            raise ModelError(f"{self.model}: {self.words[0]!r} and {self.words[1]!r} begin with the same token.")
        return first, second

    def _read(self, batch: dict[str, Tensor]) -> Tensor:
        import torch

        model, mask = self.opened.model, batch["attention_mask"]
        if not model.config.is_encoder_decoder:
            logits = model(**batch).logits
            return relevance(logits[torch.arange(len(mask)), mask.sum(-1) - 1], self.ids)
        start = mask.new_full((len(mask), 1), model.config.decoder_start_token_id)
        return relevance(model(**batch, decoder_input_ids=start).logits[:, 0], self.ids)

    def _written(self, tokenizer: Any, query: str, passage: str, tokens: int) -> dict[str, list[int]]:
        """The form that its models were trained on, its end whole."""
        query = first_tokens(tokenizer, query, tokens // 2)
        rest = len(tokenizer(f"{BEFORE}{query}{BETWEEN}{AFTER}", verbose=False)["input_ids"])
        passage = first_tokens(tokenizer, passage, max(0, tokens - rest))
        return dict(tokenizer(f"{BEFORE}{query}{BETWEEN}{passage}{AFTER}", verbose=False))
