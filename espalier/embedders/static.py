"""Static embeddings distilled from a sentence encoder (model2vec, 2024), https://github.com/MinishLab/model2vec."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from espalier.catalogue import method
from espalier.embedding import TextEmbedder, Vectors, fingerprint, folder_of, is_static, unit
from espalier.errors import ModelError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_NAMES = ("embeddings", "embedding.weight")  # model2vec's, and sentence-transformers'


@method(paper="https://github.com/MinishLab/model2vec")
@dataclass(frozen=True)
class Static(TextEmbedder):
    """Average fixed vectors of a text's tokens: no layers, a hundred times the speed, and less understood.

    Inputs: a folder or hub id of model2vec, or of sentence-transformers' StaticEmbedding.
    Relations: sentence runs a transformer over the tokens.
    """

    model: str = "minishlab/potion-multilingual-128M"

    @cached_property
    def name(self) -> str:
        """The model's name, and a digest of all that decides its vectors."""
        return f"{Path(self.model).name}:{fingerprint(self._folder, ())}"

    @property
    def about(self) -> str:
        """There is little to say."""
        return f"{self.model} embeds queries as they are and passages as they are; the mean of fixed vectors of tokens"

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        """One vector for each text; one without a known token has length 0. [texts, H]"""
        vectors, rows, weights = self._tensors
        unknown = self._unknown
        found = np.zeros((len(texts), vectors.shape[1]), np.float32)
        safe = [text.encode("utf-8", "replace").decode() for text in texts]
        for place, one in enumerate(self._tokenizer.encode_batch_fast(safe, add_special_tokens=False)):
            ids = np.array([number for number in one.ids if number != unknown], np.int64)
            if len(ids):
                chosen = vectors[ids if rows is None else rows[ids]].astype(np.float32)
                found[place] = (chosen if weights is None else chosen * weights[ids, None]).mean(0)
        return unit(found)

    @cached_property
    def _folder(self) -> Path:
        folder = folder_of(self.model)
        if not is_static(folder):
            raise ModelError(f"{self.model} is no static model; open it with embedders/sentence.")
        return folder

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer

        place = self._place("tokenizer.json")
        tokenizer = Tokenizer.from_file(str(place))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer

    @cached_property
    def _unknown(self) -> int | None:
        """The token that stands for what the vocabulary lacks, and says nothing."""
        import json

        model = json.loads(self._tokenizer.to_str())["model"]
        token = model.get("unk_token")
        return model.get("unk_id") if token is None else self._tokenizer.token_to_id(token)

    @cached_property
    def _tensors(self) -> tuple[Any, Any, Any]:
        """The vectors; where they are shared or weighted, each token's row among them, and its weight."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        file = self._place("model.safetensors")
        try:
            found = load_file(file)
            vectors = next(found[name] for name in _NAMES if name in found)
        except (SafetensorError, StopIteration, OSError) as problem:
            raise ModelError(f"{file} holds no static vectors. Get the model's files again.") from problem
        return vectors, found.get("mapping"), found.get("weights")

    def _place(self, name: str) -> Path:
        """A file, in the folder or in the module's own."""
        found = next((path for path in (self._folder / name, self._folder / "0_StaticEmbedding" / name)
                      if path.is_file()), None)  # fmt: skip
        if found is None:
            raise ModelError(f"{self.model}: there is no {name} in it. Get the model's files again.")
        return found
