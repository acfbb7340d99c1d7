"""Adapters that PEFT does not have: layers of ours within a model, what wraps it, and their file format.

adapter_config.json            {"espalier": {"method": "adapters/bottleneck", ...}, "base_model_name_or_path": ...}
adapter_model.safetensors      the trained weights, by name
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from espalier import catalogue
from espalier.errors import ModelError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


class Added(nn.Module):
    """A layer of the model that acts differently while `acts`; PEFT's own layers look alike."""

    merges: ClassVar[bool] = False

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.acts = True

    @property
    def weight(self) -> Tensor:
        """The base layer's weight: some models look at its dtype."""
        return self.base_layer.weight  # type: ignore[return-value]

    def forward(self, x: Tensor) -> Tensor:
        """What the base layer says, or the layer in its place."""
        return self.changed(x) if self.acts else self.base_layer(x)

    def changed(self, x: Tensor) -> Tensor:
        """The layer's output with what was added."""
        raise NotImplementedError

    def merged(self) -> nn.Module:
        """The base layer with what was added in its weights."""
        raise NotImplementedError


class Attached(nn.Module):
    """A model with an adapter of ours in it: what PEFT's wrapper is to its adapters.

    Args:
        model: the model, changed in place already.
        method: the adapter.
        whole: the result is saved as an ordinary model, not as an adapter.
    """

    def __init__(self, model: nn.Module, method: Any, *, whole: bool = False) -> None:
        super().__init__()
        self.base_model = model
        self.table = catalogue.options(method)
        self.whole = whole

    @property
    def config(self) -> Any:
        """The model's own."""
        return self.base_model.config

    def forward(self, *args: Any, **options: Any) -> Any:
        """What the model answers."""
        return self.base_model(*args, **options)

    def get_base_model(self) -> nn.Module:
        """The transformers model."""
        return self.base_model

    @contextlib.contextmanager
    def disable_adapter(self) -> Iterator[None]:
        """Answer as the base model meanwhile."""
        switched = [module for module in self.base_model.modules() if vars(module).get("acts")]
        for module in switched:
            module.acts = False  # type: ignore[assignment]
        try:
            yield
        finally:
            for module in switched:
                module.acts = True  # type: ignore[assignment]

    def merge_and_unload(self) -> nn.Module:
        """The model with what was added in its own weights.

        Raises:
            ModelError: it cannot be expressed by them.
        """
        for name, module in list(self.base_model.named_modules()):
            if isinstance(module, Added):
                if not module.merges:
                    raise ModelError(
                        f"{self.table['method']} adds layers of its own; it cannot be merged into weights."
                    )
                parent, _, own = name.rpartition(".")
                setattr(self.base_model.get_submodule(parent), own, module.merged())
        return self.base_model

    def save(self, folder: Path, weights: dict[str, Tensor], base: str) -> None:
        """Write the adapter to an empty folder."""
        folder.mkdir(parents=True)
        config = {"espalier": self.table, "base_model_name_or_path": base}
        (folder / CONFIG).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        trained = {name for name, p in self.named_parameters() if p.requires_grad}
        save_file({name: value.contiguous() for name, value in weights.items() if name in trained}, folder / WEIGHTS)


def is_ours(folder: str | Path) -> bool:
    """Whether a folder holds an adapter in this format."""
    file = Path(folder) / CONFIG
    return file.exists() and "espalier" in json.loads(file.read_text(encoding="utf-8"))


def saves_adapter(model: nn.Module) -> bool:
    """Whether what was trained is saved as an adapter, and not as a whole model."""
    return hasattr(model, "peft_config") or (isinstance(model, Attached) and not model.whole)


def open_added(model: nn.Module, folder: str, *, trainable: bool) -> nn.Module:
    """A saved adapter of ours over its base.

    Raises:
        ModelError: it was made for another base.
    """
    config = json.loads((Path(folder) / CONFIG).read_text(encoding="utf-8"))
    attached: nn.Module = catalogue.build(config["espalier"]).attach(model)
    weights = load_file(Path(folder) / WEIGHTS)
    targets = {name: p for name, p in attached.named_parameters() if p.requires_grad}
    odd = min(set(weights) ^ set(targets), default=None)
    odd = odd or next((name for name, p in targets.items() if p.shape != weights[name].shape), None)
    if odd is not None:
        raise ModelError(
            f"{folder}: this adapter does not fit the model: it was made for {config['base_model_name_or_path']}. "
            f"({odd} differs)"
        )
    with torch.no_grad():
        for name, p in targets.items():
            p.copy_(weights[name])
    attached.requires_grad_(False)
    for p in targets.values():
        p.requires_grad_(trainable)
    return attached
