"""What adapters share: the layers they may change, and PEFT's wrapper around a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from espalier.catalogue import address_of
from espalier.contracts import Adapter
from espalier.errors import ModelError, RecipeError, unknown
from espalier.models.heads import base_of, is_scalar
from espalier.models.load import quietly

# What ends the attention and the feed-forward part of a layer, as models name it.
OUTPUTS = ("o_proj", "out_proj", "c_proj", "down_proj", "dense_4h_to_h", "fc2", "wo", "w2", "dense", "linear_attn_out")


def linear_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Every linear layer by name, but the output head; GPT-2's transposed ones too."""
    from transformers.pytorch_utils import Conv1D

    base = base_of(model)
    head = base.score if is_scalar(base) else base.get_output_embeddings()
    return {
        name: layer
        for name, layer in base.named_modules()
        if isinstance(layer, nn.Linear | Conv1D) and layer is not head
    }


def sides(layer: Any) -> tuple[int, int]:
    """Numbers of inputs and outputs of a linear layer, quantized or not."""
    return (layer.nx, layer.nf) if hasattr(layer, "nf") else (layer.in_features, layer.out_features)


def chosen(model: nn.Module, targets: Iterable[str], adapter: object) -> dict[str, nn.Module]:
    """The linear layers that `targets` name, in full or by the end of their names; all where it is empty.

    Raises:
        RecipeError: a target names none of them, or the model has none.
    """
    layers = linear_layers(model)
    targets = list(targets)
    if not layers:
        raise RecipeError(f"{address_of(adapter)}: the model has no linear layers.")
    for target in targets:
        if not any(_ends(name, target) for name in layers):
            short = {name.rpartition(".")[2] for name in layers}
            raise RecipeError(f"{address_of(adapter)}: {unknown('linear layer', target, short)}")
    return {name: layer for name, layer in layers.items() if not targets or any(_ends(name, t) for t in targets)}


def found(model: nn.Module, names: Iterable[str], adapter: object) -> list[str]:
    """Those of these names that linear layers of the model have: what an adapter changes by default.

    Raises:
        RecipeError: no layer has one of them.
    """
    layers = linear_layers(model)
    known = [name for name in names if any(_ends(layer, name) for layer in layers)]
    if not known:
        short = ", ".join(sorted({name.rpartition(".")[2] for name in layers}))
        raise RecipeError(f"{address_of(adapter)}: give targets; this model's linear layers are {short}.")
    return known


def _ends(name: str, target: str) -> bool:
    return name == target or name.endswith(f".{target}")


def require_rank(layers: Mapping[str, nn.Module], rank: int, adapter: object) -> None:
    """Refuse a rank that is larger than a side of a layer: the update could not use it."""
    name, most = min(((name, min(sides(layer))) for name, layer in layers.items()), key=lambda item: item[1])
    if rank > most:
        raise RecipeError(
            f"{address_of(adapter)}: rank = {rank} is more than the {most} dimensions of {name}. Lower it, or name "
            "other targets."
        )


def require_one(adapter: object, *names: str) -> None:
    """Refuse numbers below one."""
    for name in names:
        if getattr(adapter, name) < 1:
            raise RecipeError(f"{address_of(adapter)}: {name} must be at least 1, not {getattr(adapter, name)}.")


def wrap(model: nn.Module, config: Any) -> nn.Module:
    """The model in PEFT's wrapper; trained weights are float32 whatever the base has.

    Raises:
        ModelError: PEFT cannot adapt this model.
    """
    from peft import get_peft_model

    config.task_type = "SEQ_CLS" if is_scalar(model) else "CAUSAL_LM"  # a scalar head is trained beside the adapter
    if hasattr(config, "fan_in_fan_out"):
        config.fan_in_fan_out = any(hasattr(layer, "nf") for layer in linear_layers(model).values())
    try:
        with quietly():
            wrapped: nn.Module = get_peft_model(cast("Any", model), config, autocast_adapter_dtype=True)
    except ValueError as error:
        raise ModelError(f"{type(base_of(model)).__name__} cannot take this adapter: {error}") from error
    return wrapped


@dataclass(frozen=True)
class LowRank(Adapter):
    """Options of the adapters that add a product of two narrow matrices to linear layers."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ()  # module names; empty means every linear layer but the output head

    def __post_init__(self) -> None:
        """Refuse a rank below one."""
        require_one(self, "rank")

    def attach(self, model: nn.Module) -> nn.Module:
        """Wrap the model with PEFT."""
        return self.wrapped(model)

    def wrapped(self, model: nn.Module, **variant: Any) -> nn.Module:
        """The model in PEFT's LoRA, of a variant that PEFT knows."""
        from peft import LoraConfig

        require_rank(chosen(model, self.targets, self), self.rank, self)
        config = LoraConfig(
            r=self.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]  # PEFT divides by the rank and takes any number
            lora_dropout=self.dropout,
            target_modules=list(self.targets) or "all-linear",
            **variant,
        )
        return wrap(model, config)


class Kept(nn.Module):
    """Numbers that an adapter's training goes on with; checkpoints hold them beside the trained weights.

    Args:
        sizes: by name, how many.
    """

    def __init__(self, **sizes: int) -> None:
        super().__init__()
        for name, size in sizes.items():
            self.register_buffer(name, torch.zeros(size), persistent=False)
