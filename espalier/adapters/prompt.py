"""Prompt tuning: trained embeddings before every row (Lester et al., 2021), arXiv:2104.08691, through PEFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from espalier.catalogue import method
from espalier.contracts import Adapter
from espalier.errors import RecipeError
from espalier.models.adapters import require_one, wrap
from espalier.models.heads import base_of
from espalier.models.load import load_tokenizer


@method(paper="arXiv:2104.08691")
@dataclass(frozen=True)
class Prompt(Adapter):
    """Train the embeddings of a few virtual tokens that stand before every row; no weight of the model changes.

    Relations: prefix tuning trains keys and values in every layer; P-tuning computes the embeddings by a small network.
    Cannot be merged. The reference of preference training is the model behind the untrained virtual tokens.
    Departs from the paper: 20 tokens instead of 100, AdamW instead of Adafactor at 0.3; drawn from the whole vocabulary
    instead of its 5,000 most frequent tokens.
    """

    tokens: int = 20  # with `text` at least as many as it has
    text: str = ""  # start at the embeddings of this text, repeated to fill them; otherwise at those of random tokens

    starts_at_base: ClassVar[bool] = False
    shares: ClassVar[bool] = False
    rate: ClassVar[float] = 30.0  # docs/adapters.md has the sweep

    def __post_init__(self) -> None:
        """Refuse none at all."""
        require_one(self, "tokens")

    def attach(self, model: nn.Module) -> nn.Module:
        """Wrap the model with PEFT; with a text its tokenizer is read from the model's folder."""
        from peft import PromptTuningConfig

        base = base_of(model)
        ids = self._ids(base.name_or_path) if self.text else []
        embeddings = base.get_input_embeddings().weight
        config = PromptTuningConfig(
            num_virtual_tokens=max(self.tokens, len(ids)),
            token_dim=embeddings.shape[1],
            prompt_tuning_init="SAMPLE_VOCAB",
        )
        wrapped = wrap(model, config)
        if ids:
            filled = torch.tensor([ids[i % len(ids)] for i in range(config.num_virtual_tokens)])
            with torch.no_grad():
                own = wrapped.get_parameter("prompt_encoder.default.embedding.weight")
                own.copy_(base.get_input_embeddings()(filled.to(embeddings.device)))
        return wrapped

    def _ids(self, folder: str) -> list[int]:
        if not folder:
            raise RecipeError("adapters/prompt: text needs a model that was read from a folder with its tokenizer.")
        ids: list[int] = load_tokenizer(folder)(self.text, add_special_tokens=False)["input_ids"]
        if not ids:
            raise RecipeError("adapters/prompt: text has no tokens.")
        return ids
