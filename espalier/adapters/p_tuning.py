"""P-tuning: virtual tokens computed by a small network (Liu et al., 2021), arXiv:2103.10385, through PEFT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import nn

from espalier.catalogue import method
from espalier.contracts import Adapter
from espalier.models.adapters import require_one, wrap
from espalier.models.heads import base_of


@method(paper="arXiv:2103.10385")
@dataclass(frozen=True)
class PTuning(Adapter):
    """Train virtual tokens before every row through a network that ties them together and is dropped afterwards.

    Relations: prompt tuning trains the embeddings themselves; what is saved here has the same size and the same effect,
    and is trained further as those, for the network is gone. Cannot be merged.
    Departs from the paper: all virtual tokens stand before the row instead of between the parts of a template, and
    there are no anchor tokens.
    """

    tokens: int = 20
    encoder: Literal["lstm", "mlp"] = "lstm"
    hidden: int = 0  # width of the network; 0 means the model's
    layers: int = 2  # of the LSTM
    dropout: float = 0.0

    starts_at_base: ClassVar[bool] = False
    shares: ClassVar[bool] = False
    rate: ClassVar[float] = 3.0  # docs/adapters.md has the sweep

    def __post_init__(self) -> None:
        """Refuse none at all."""
        require_one(self, "tokens", "layers")

    def attach(self, model: nn.Module) -> nn.Module:
        """Wrap the model with PEFT."""
        from peft import PromptEncoderConfig

        width = base_of(model).get_input_embeddings().weight.shape[1]
        options: dict[str, Any] = {"encoder_num_layers": self.layers} if self.encoder == "lstm" else {}
        config = PromptEncoderConfig(
            num_virtual_tokens=self.tokens,
            token_dim=width,
            encoder_reparameterization_type=self.encoder.upper(),
            encoder_hidden_size=self.hidden or width,
            encoder_dropout=self.dropout,
            **options,
        )
        return wrap(model, config)
