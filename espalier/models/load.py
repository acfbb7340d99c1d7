"""Loading models and tokenizers: local folders without touching the network, hub ids through transformers."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from espalier.errors import ModelError
from espalier.models import quant

ASSETS = Path(__file__).parents[1] / "assets"
BUNDLED = ("sprout", "seedling")  # models that come with the package, by name
log = logging.getLogger(__name__)
PICKLES = ("pytorch_model*.bin", "*.pt", "*.pth", "*.pkl", "adapter_model.bin")


@dataclass(frozen=True)
class Place:
    """Where a model is: the model itself, and an adapter over it if there is one."""

    model: str
    adapter: str | None = None

    @property
    def tokenizer(self) -> str:
        """The folder or id to read the tokenizer from: the adapter's own where it was saved with one."""
        saved = self.adapter and (Path(self.adapter) / "tokenizer_config.json").exists()
        return self.adapter if saved and self.adapter else self.model


def place(target: str) -> Place:
    """What a folder or hub id holds.

    Raises:
        ModelError: neither a model nor an adapter folder, nor a possible hub id.
    """
    folder = Path(bundled(target)).expanduser()
    if (folder / "adapter_config.json").exists():
        base = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8")).get("base_model_name_or_path")
        if not base:
            raise ModelError(f"{target}: adapter_config.json does not name its base model (base_model_name_or_path).")
        return Place(bundled(str(base)), str(folder))
    if (folder / "config.json").exists():
        return Place(str(folder))
    if folder.exists():
        raise ModelError(
            f"{target}: no model here. A model folder has a config.json, an adapter folder an adapter_config.json."
        )
    if target.startswith((".", "/", "~")) or target.count("/") > 1:
        raise ModelError(f"{target}: no such folder.")
    return Place(target)


def bundled(target: str) -> str:
    """The folder of a model that comes with the package, whatever folder it lay in once; any other target as it is."""
    name = Path(target).name
    known = name in BUNDLED and (name == target or Path(target).parent.name == ASSETS.name)
    return str(ASSETS / name) if known and not Path(target).expanduser().exists() else target


@contextlib.contextmanager
def _explained(target: str, what: str) -> Iterator[None]:
    """Turn what loading can raise into one sentence."""
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it tells of every try, we of the last
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        if Path(target).exists():
            raise ModelError(f"{target}: the {what} cannot be loaded: {reason[:300]}") from error
        kind = type(error).__name__
        cause = (
            "it is gated: accept its licence on the hub and log in with `hf auth login`"
            if "gated" in reason.lower() or kind == "GatedRepoError"
            else "there is no folder of that name, and the hub cannot be reached or does not have it"
        )  # fmt: skip
        raise ModelError(f"{target}: {cause}. Give a folder, or download the model first.") from error


def load_tokenizer(target: str) -> Any:
    """The tokenizer of a model folder or hub id."""
    from transformers import AutoTokenizer

    folder = Path(target)
    if folder.exists() and not any(
        (folder / f).exists() for f in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "tokenizer.model")
    ):
        raise ModelError(
            f"{target}: the model folder has no tokenizer (tokenizer.json). Copy the files of its tokenizer there."
        )
    with _explained(target, "tokenizer"):
        return AutoTokenizer.from_pretrained(target, local_files_only=folder.exists())


def load_config(target: str) -> Any:
    """The config of a model folder or hub id; no weights are read."""
    from transformers import AutoConfig

    with _explained(target, "config"):
        return AutoConfig.from_pretrained(target, local_files_only=Path(target).exists())


def context_length(config: Any) -> int | None:
    """Tokens the model was made for, or None where it has no limit."""
    text = config.get_text_config()
    names = ("max_position_embeddings", "n_positions", "seq_length", "max_seq_len")
    found = [getattr(text, name) for name in names if isinstance(getattr(text, name, None), int)]
    return found[0] if found else None


def classifies(config: Any) -> bool:
    """Whether a model gives scores in place of tokens."""
    kinds = getattr(config, "architectures", None) or []
    return any(kind.endswith("ForSequenceClassification") for kind in kinds)


def require_text(target: str, config: Any) -> None:
    """Refuse a model that writes no text."""
    if classifies(config):
        raise ModelError(
            f"{target}: a {config.architectures[0]} gives scores and writes no text. Measure it with "
            "`espalier evaluate`, or give a language model."
        )


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep other libraries' progress bars, and their notes to their own developers, off the user's terminal."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.CRITICAL)  # kernels it would like to download
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning
        )  # PEFT asks for it
        warnings.filterwarnings("ignore", "Specified to not (save|load) vera_A")  # their seed is, in their place
        warnings.filterwarnings("ignore", "The following rank_pattern keys did not match")  # AdaLoRA's, read later
        warnings.filterwarnings("ignore", "Adapter .* have invalid shape")  # AdaLoRA leaves some layers no rank at all
        yield


def load_model(target: str, *, dtype: torch.dtype, device: str, quantize: str | None = None) -> nn.Module:
    """The causal language model of a folder or hub id, from safetensors; pickles are refused.

    Args:
        target: folder or hub id.
        dtype: of the weights.
        device: cpu, cuda or mps.
        quantize: nf4 or int8 for base weights in few bits.
    """
    from transformers import AutoModelForCausalLM

    require_text(target, load_config(target))
    if quantize is None:
        return load_weights(AutoModelForCausalLM, target, dtype=dtype).to(device)
    options = {"quantization_config": quant.config(quantize, dtype), "device_map": device}
    model = load_weights(AutoModelForCausalLM, target, dtype=dtype, **options)
    names = quant.refused(model, dtype)
    if not names:
        return model
    count = len(names) - 1
    log.warning("%d layers stay whole, for nothing here computes their shape in %s: %s", count, quantize, names[0])
    options["quantization_config"] = quant.config(quantize, dtype, names)
    return load_weights(AutoModelForCausalLM, target, dtype=dtype, **options)


def load_weights(kind: Any, target: str, *, dtype: torch.dtype, whole: bool = False, **options: Any) -> nn.Module:
    """A model of one of transformers' classes, from safetensors; pickles and weights that are no numbers are refused.

    Args:
        kind: the class, with `from_pretrained`.
        target: folder or hub id.
        dtype: of the weights.
        whole: refuse a file that lacks some of the weights, which transformers would draw at random.
        options: more of `from_pretrained`.
    """
    folder = Path(target)
    if folder.exists() and not any(folder.glob("*.safetensors")):
        pickles = [file.name for pattern in PICKLES for file in folder.glob(pattern)]
        found = (
            f"only {pickles[0]}, a pickle, which can run code when loaded. Convert it"
            if pickles
            else "none. Save the model"
        )
        raise ModelError(f"{target}: weights must be safetensors; there is {found} with save_pretrained.")
    options |= {"dtype": dtype, "local_files_only": folder.exists(), "use_safetensors": True}
    with _explained(target, "model"), quietly():
        loaded, told = kind.from_pretrained(target, output_loading_info=True, **options)
    model: nn.Module = loaded
    if whole and told["missing_keys"]:
        raise ModelError(f"{target}: weights are missing, {min(told['missing_keys'])} first. Get the files again.")
    bad = [name for name, p in model.named_parameters() if p.is_floating_point() and not bool(torch.isfinite(p).all())]
    if bad:
        raise ModelError(
            f"{target}: {len(bad)} weights hold NaN or infinity, {bad[0]} first. The files are damaged; get them again."
        )
    return model


def set_dropout(model: nn.Module, on: bool) -> None:
    """Switch every dropout of a model off, layers and attention alike; on leaves it as it is."""
    if on:
        return
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for name in (
            "attention_dropout",
            "dropout",
            "activation_dropout",
            "hidden_dropout",
            "attn_dropout",
            "resid_dropout",
        ):
            if isinstance(getattr(module, name, None), float):
                setattr(module, name, 0.0)
