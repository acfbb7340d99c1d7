"""Several saved adapters over one base: switched without loading again, added up, cut to a lower rank.

model = open_adapters(base, {"polite": "runs/polite/adapter", "brief": "runs/brief/adapter"})
switch(model, "brief")                                  # or None for the base
add(model, "both", {"polite": 1.0, "brief": 0.5})       # of LoRA's kind: the sum of their updates, exactly
save(model, "both", "adapters/both")
cut_rank("runs/dylora/adapter", 4, "adapters/rank-4")   # of a LoRA that adapters/dylora trained
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from espalier.errors import ModelError, unknown
from espalier.models.load import quietly
from espalier.models.saved import load_adapter
from espalier.models.virtual import has_virtual_tokens

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


def open_adapters(model: nn.Module, folders: Mapping[str, str | Path]) -> nn.Module:
    """The base with these adapters over it, the first of them in use; nothing is trained.

    Args:
        model: the base, as it was loaded.
        folders: of adapters in PEFT's format and of one kind, by the name each is to have.

    Raises:
        ModelError: they are of several kinds or bases, or do not fit this one.
    """
    told = {name: _config(folder) for name, folder in folders.items()}
    first = next(iter(told))
    for name, config in told.items():
        for key, what in (("peft_type", "kind"), ("base_model_name_or_path", "base")):
            if config.get(key) != told[first].get(key):
                raise ModelError(
                    f"adapters of one {what} can be used together, and {first} is of {told[first].get(key)}, {name} of "
                    f"{config.get(key)}."
                )
    wrapped: Any = load_adapter(model, str(folders[first]), trainable=False, name=first)
    for name in list(told)[1:]:
        try:
            with quietly():
                wrapped.load_adapter(str(folders[name]), name, is_trainable=False, local_files_only=True)
        except (RuntimeError, ValueError, KeyError) as error:
            raise ModelError(
                f"{folders[name]}: this adapter does not fit: {' '.join(str(error).split())[:160]}"
            ) from error
    switch(wrapped, first)
    found: nn.Module = wrapped
    return found


def switch(model: Any, name: str | None) -> None:
    """Answer with this adapter from now on, or as the base."""
    if name is not None and name not in model.peft_config:
        raise ModelError(unknown("adapter", name, model.peft_config))
    layers = not has_virtual_tokens(model)
    if name is None and not layers:
        raise ModelError("virtual tokens are switched off by `with model.disable_adapter():`.")
    if name is None:
        model.base_model.disable_adapter_layers()
        return
    if layers:
        model.base_model.enable_adapter_layers()
    model.set_adapter(name)
    model.requires_grad_(False)


def add(model: Any, name: str, weights: Mapping[str, float], *, rank: int | None = None) -> None:
    """A new adapter whose update is the weighted sum of others': sum of w_i s_i B_i A_i. It is not switched to.

    Args:
        model: with LoRA adapters over it.
        name: of the new adapter.
        weights: by adapter; a negative one takes away what it taught.
        rank: of the sum, by singular value decomposition; otherwise the ranks add up and the sum is exact.
    """
    for known in weights:
        if known not in model.peft_config:
            raise ModelError(unknown("adapter", known, model.peft_config))
    if str(model.active_peft_config.peft_type.value) != "LORA":
        raise ModelError(
            f"only adapters of LoRA's kind can be added up, not {model.active_peft_config.peft_type.value}."
        )
    how: dict[str, Any] = {"combination_type": "cat"} if rank is None else {"combination_type": "svd", "svd_rank": rank}
    model.add_weighted_adapter(list(weights), list(weights.values()), name, **how)
    model.requires_grad_(False)


def save(model: Any, name: str, folder: str | Path) -> None:
    """Write one of the adapters to a new folder, in PEFT's format, whole or not at all."""
    folder = _new(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    with quietly():
        model.save_pretrained(partial, selected_adapters=[name], save_embedding_layers=False)
    inner = partial / name  # PEFT gives every adapter but "default" a folder of its own
    inner.rename(folder) if inner.exists() else partial.rename(folder)
    shutil.rmtree(partial, ignore_errors=True)


def cut_rank(source: str | Path, rank: int, folder: str | Path) -> None:
    """The LoRA of a lower rank that is within one of adapters/dylora: the first rows of A and columns of B.

    Args:
        source: the adapter's folder.
        rank: from 1 to its own.
        folder: a new folder for the result, an ordinary LoRA.
    """
    from safetensors.torch import load_file, save_file

    config = _config(source)
    if config.get("peft_type") != "LORA" or not 1 <= rank <= config["r"]:
        raise ModelError(f"{source}: needs a LoRA and a rank from 1 to its own ({config.get('r')}), not {rank}.")
    folder = _new(folder)
    weights = load_file(Path(source) / WEIGHTS)
    cut = {name: value[:rank] if "lora_A" in name else value[:, :rank] for name, value in weights.items()}
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial)
    save_file({name: value.contiguous() for name, value in cut.items()}, partial / WEIGHTS, metadata={"format": "pt"})
    text = json.dumps(config | {"r": rank}, indent=2)  # alpha stays: in training it was divided by the rank drawn
    (partial / CONFIG).write_text(text + "\n", encoding="utf-8")
    partial.rename(folder)


def _config(folder: str | Path) -> dict[str, Any]:
    file = Path(folder) / CONFIG
    if not file.exists():
        raise ModelError(f"{folder}: no adapter here; an adapter folder has an {CONFIG}.")
    config: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if "peft_type" not in config:
        raise ModelError(f"{folder}: only adapters in PEFT's format can be used together.")
    return config


def _new(folder: str | Path) -> Path:
    folder = Path(folder)
    if folder.exists():
        raise ModelError(f"{folder} exists already. Name a new folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder
