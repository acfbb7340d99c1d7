"""A sentence encoder: a transformer's states, pooled as its configuration says, through what layers follow."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espalier.embedding import Vectors, fingerprint, unit
from espalier.errors import ModelError
from espalier.models.load import context_length, load_config, load_tokenizer, load_weights
from espalier.models.sentence_config import read_config

TOKENS = {"cpu": 2048, "mps": 8192, "cuda": 65536}  # of a batch, with its padding
_ACTIVATION = re.compile(r"torch\.nn\.modules\.(?:activation|linear)\.(\w+)")


class Encoder:
    """A sentence encoder of a folder; its weights are read when the first text comes.

    Args:
        folder: as sentence-transformers saves it, or any encoder or decoder of transformers.
        name: what it is called.
        pooling: one of `sentence_config.POOLING`, in place of its own.
        query_prefix: what a query begins with, in place of its own.
        passage_prefix: the same for what is to be found.
        max_tokens: tokens of a text that are read, in place of its own.
        dtype: of the weights; vectors are float32.
        device: cpu, cuda, mps, or auto.

    Attributes:
        shortened: texts so far that were longer.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        pooling: str = "",
        query_prefix: str | None = None,
        passage_prefix: str | None = None,
        max_tokens: int | None = None,
        dtype: str = "float32",
        device: str = "auto",
    ) -> None:
        self.folder, self.called, self.dtype, self.device = folder, name, dtype, device
        self.config = read_config(folder, name, pooling)
        own = (self.config.query, self.config.passage)
        self.prefixes = tuple(one if given is None else given
                              for given, one in zip((query_prefix, passage_prefix), own, strict=True))  # fmt: skip
        self.source = self.config.source if self.prefixes == own else "your choice"
        self._asked = max_tokens
        self.shortened = 0
        self._lock = threading.Lock()  # a tokenizer serves one thread at a time

    @cached_property
    def name(self) -> str:
        """What an index remembers: vectors of the same name can be compared."""
        return f"{Path(self.called).name}:{fingerprint(self.folder, (self.config.pooling, self.prefixes, self._asked))}"

    @property
    def about(self) -> str:
        """How texts become vectors."""
        prefixes = zip(("queries", "passages"), self.prefixes, strict=True)
        said = [f"{what} with prefix {prefix!r}" if prefix else f"{what} as they are" for what, prefix in prefixes]
        source = f" ({self.source})" if any(self.prefixes) else ""
        pooled = " and ".join(self.config.pooling).replace("_", " ")
        return f"{self.called} embeds {' and '.join(said)}{source}; pooling: {pooled}; at most {self.max_tokens} tokens"

    def embed(self, texts: Sequence[str], *, query: bool = False) -> Vectors:
        """One vector for each text, of length 1 unless it has no token. [texts, H]"""
        prefix = self.prefixes[0 if query else 1]
        written = [prefix + (text.lower() if self.config.lower else text) for text in texts]
        ids = self._tokens([text.encode("utf-8", "replace").decode() for text in written])
        found = np.zeros((len(texts), self.dimension), np.float32)
        skipped = self._length(prefix) if prefix and not self.config.pools_prefix else 0
        with torch.inference_mode():
            for rows in batches([len(row) for row in ids], TOKENS.get(self._model.device.type, 8192)):
                found[rows] = self._encoded([ids[row] for row in rows], skipped)
        return unit(found)

    @cached_property
    def dimension(self) -> int:
        """Numbers of a vector."""
        with torch.inference_mode():
            return int(self._encoded([[1]], 0).shape[1])

    @cached_property
    def max_tokens(self) -> int:
        """Tokens of a text that are read."""
        config = load_config(str(self.config.body))
        limits: list[int | None] = [
            self._asked or self.config.max_tokens,
            context_length(config),
            self._tokenizer.model_max_length,
        ]
        if "roberta" in config.model_type or config.model_type == "mpnet":
            limits[1] = (limits[1] or 514) - config.pad_token_id - 1  # its positions begin after the padding's
        return min(int(limit) for limit in limits if limit)

    @cached_property
    def _tokenizer(self) -> Any:
        return load_tokenizer(str(self.config.body))

    @cached_property
    def _model(self) -> Any:
        wanted = self.device
        if wanted == "auto":
            wanted = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        model = load_weights(_Body, str(self.config.body), dtype=getattr(torch, self.dtype), whole=True)
        return model.eval().to(wanted)

    @cached_property
    def _layers(self) -> list[Callable[[Tensor], Tensor]]:
        return [_layer(kind, place, options, self._model.device) for kind, place, options in self.config.layers]

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        with self._lock:
            found = self._tokenizer(list(texts), truncation=True, max_length=self.max_tokens)
            self.shortened += sum(bool(one.overflowing) for one in found.encodings or ())
        return [list(row) for row in found["input_ids"]]

    def _length(self, prefix: str) -> int:
        """Tokens of a prefix, without a special one after it."""
        [ids] = self._tokens([prefix])
        return len(ids) - (ids[-1] in self._tokenizer.all_special_ids)

    def _encoded(self, ids: Sequence[Sequence[int]], skipped: int) -> Vectors:
        """The vectors of texts of about the same length. [B, H]"""
        width, model = max(map(len, ids)), self._model
        mask = torch.zeros(len(ids), width, dtype=torch.long)
        padded = torch.full_like(mask, self._tokenizer.pad_token_id or 0)
        for row, tokens in enumerate(ids):
            padded[row, : len(tokens)], mask[row, : len(tokens)] = torch.tensor(tokens), 1
        mask = mask.to(model.device)
        states = model(input_ids=padded.to(model.device), attention_mask=mask).last_hidden_state.float()  # [B, T, H]
        counted = mask.clone()
        counted[:, :skipped] = 0
        pooled = torch.cat([pool(states, counted, way) for way in self.config.pooling], 1)
        for layer in self._layers:
            pooled = layer(pooled)
        found: Vectors = pooled.cpu().numpy()
        return found


class _Body:
    """transformers' class for the body of a model, without the head that its weights may hold or lack."""

    @staticmethod
    def from_pretrained(target: str, **options: Any) -> tuple[nn.Module, dict[str, Any]]:
        from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding

        config = AutoConfig.from_pretrained(target, local_files_only=True)
        config.use_cache = False
        kind = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModel
        model, told = kind.from_pretrained(target, config=config, **options)
        told["missing_keys"] = [name for name in told["missing_keys"] if "pooler" not in name]
        return model, told


def pool(states: Tensor, mask: Tensor, way: str) -> Tensor:
    """One vector for each text from those of its tokens.

    Args:
        states: the last hidden states. [B, T, H]
        mask: 1 where a token counts; each row has its ones together. [B, T]
        way: cls takes the first token that counts, last the last one; mean_sqrt_length divides the sum by the square
            root of their number, weighted_mean weighs each by its place, from 1.

    Returns:
        The vectors. [B, H]
    """
    rows = torch.arange(len(states), device=states.device)
    if way == "cls":
        return states[rows, mask.argmax(1)]
    if way == "last":
        return states[rows, mask.shape[1] - 1 - mask.flip(1).argmax(1)]
    if way == "max":
        return states.masked_fill(mask[..., None] == 0, -torch.inf).amax(1)
    weights = mask.to(states.dtype)
    if way == "weighted_mean":
        weights = weights * torch.arange(1, mask.shape[1] + 1, device=states.device)
    total, count = (states * weights[..., None]).sum(1), weights.sum(1, keepdim=True).clamp(min=1e-9)
    return total / (count.sqrt() if way == "mean_sqrt_length" else count)


def batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Rows of about the same length, the longest first, so many that their tokens with padding stay below a number.

    Args:
        lengths: tokens of each row; one without any is in no batch.
        tokens: of a batch; a longer row is a batch by itself.
    """
    rows = sorted((row for row, length in enumerate(lengths) if length), key=lambda row: -lengths[row])
    while rows:
        size = max(1, tokens // lengths[rows[0]])
        yield rows[:size]
        rows = rows[size:]


def _layer(kind: str, place: Path, options: dict[str, Any], device: torch.device) -> Callable[[Tensor], Tensor]:
    """What a module behind the pooling does."""
    from safetensors.torch import load_file

    if kind in ("Normalize", "Dropout"):
        return nn.functional.normalize if kind == "Normalize" else nn.Identity()
    file = place / "model.safetensors"
    if not file.is_file():
        raise ModelError(f"{place}: its weights must be safetensors; there is no {file.name}. Convert what is there.")
    weights = {name.partition(".")[2]: tensor.float().to(device) for name, tensor in load_file(file).items()}
    if kind == "LayerNorm":
        return lambda x: nn.functional.layer_norm(x, x.shape[-1:], weights["weight"], weights["bias"])
    named = _ACTIVATION.fullmatch(options.get("activation_function", "torch.nn.modules.activation.Tanh"))
    unlike = (
        options.get("use_residual") or options.get("module_input_name", "sentence_embedding") != "sentence_embedding"
    )
    if named is None or not hasattr(nn, named[1]) or unlike:
        raise ModelError(f"{place}: a dense layer of a kind that is not known here. Choose another model.")
    activation: nn.Module = getattr(nn, named[1])()
    return lambda x: activation(nn.functional.linear(x, weights["weight"], weights.get("bias")))
