"""Sentence embeddings of a transformer (Reimers and Gurevych, 2019), arXiv:1908.10084."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from espalier.catalogue import method
from espalier.embedding import EncoderEmbedder, folder_of
from espalier.errors import RecipeError

if TYPE_CHECKING:
    from espalier.models.encoder import Encoder


@method(paper="arXiv:1908.10084")
@dataclass(frozen=True)
class Sentence(EncoderEmbedder):
    """Pool the last states of a transformer's tokens into one vector, as the model's own files say.

    Inputs: a folder or hub id of sentence-transformers, or any encoder or decoder of transformers. Pooling, further
    layers, prefixes and length are read from its files; prefixes of well-known models that lack them are known here.
    Relations: minilm is one such model that comes as a package; static has no layers; server asks one elsewhere.
    """

    model: str = "intfloat/multilingual-e5-small"
    pooling: Literal["", "cls", "mean", "max", "last", "weighted_mean", "mean_sqrt_length"] = ""  # empty: its own
    query_prefix: str | None = None  # what a query begins with; none: its own
    passage_prefix: str | None = None
    max_tokens: int | None = None  # of a text; none: its own
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"  # of the weights; vectors are float32
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"

    def __post_init__(self) -> None:
        if self.max_tokens is not None and self.max_tokens < 3:
            raise RecipeError(f"embedders/sentence: max_tokens is {self.max_tokens}; it must be at least 3.")

    @cached_property
    def _encoder(self) -> Encoder:
        from espalier.models.encoder import Encoder

        return Encoder(
            folder_of(self.model), self.model, pooling=self.pooling, query_prefix=self.query_prefix,
            passage_prefix=self.passage_prefix, max_tokens=self.max_tokens, dtype=self.dtype, device=self.device,
        )  # fmt: skip
