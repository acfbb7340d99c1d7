"""What is handed over: a run's result, an adapter over its base, or a model; refused here where it cannot be."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from espalier.errors import ModelError
from espalier.models.load import BUNDLED, classifies, context_length, load_config
from espalier.opening import count_parameters, open_renderer
from espalier.render import Renderer
from espalier.run import Located, locate
from espalier.template import PLAIN

VIRTUAL = ("PROMPT_TUNING", "P_TUNING", "PREFIX_TUNING", "MULTITASK_PROMPT_TUNING", "CPT", "ADAPTION_PROMPT")
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Source:
    """What an export starts from; nothing heavy is read yet.

    Attributes:
        target: as it stood on the command line.
        place: where the weights are.
        config: of the model, or of the adapter's base.
        renderer: that of the training.
    """

    target: str
    place: Located
    config: Any
    renderer: Renderer

    @classmethod
    def open(cls, target: str) -> Source:
        """Find the weights and the renderer.

        Raises:
            ModelError: the weights are quantized, so that nothing can be merged into them or written from them.
        """
        place = locate(target)
        config = load_config(place.model)
        if getattr(config, "quantization_config", None) is not None:
            raise ModelError(
                f"{place.model}: its weights are quantized, and merging would round them a second time. Train over the "
                "unquantized model (quantize=nf4 quantizes while training), and export that."
            )
        return cls(target, place, config, open_renderer(place))

    @property
    def name(self) -> str:
        """A name for what was made: that of the run's folder, or of the model."""
        folder = self.place.run.folder if self.place.run else Path(self.place.adapter or self.place.model)
        return (
            re.sub(r"[^\w.-]+", "-", folder.resolve().name if folder.exists() else folder.name).strip("-.") or "model"
        )

    @property
    def scores(self) -> bool:
        """Whether it is a reward model, which gives scores and writes no text."""
        return classifies(self.config)

    @property
    def dtype(self) -> str:
        """The type of the kept weights."""
        return str(getattr(self.config, "dtype", None) or "float32").rpartition(".")[2]

    @property
    def base(self) -> str:
        """What the model was made from, as anybody may read it: a hub id, or the last part of a folder's name."""
        recipe = self.place.run.recipe if self.place.run else None
        made_from = self.place.model if self.place.adapter or recipe is None else recipe.model or self.place.model
        return Path(made_from).resolve().name if self.is_local(made_from) else made_from

    @cached_property
    def adapter(self) -> dict[str, Any] | None:
        """What adapter_config.json says, if it is an adapter."""
        if self.place.adapter is None:
            return None
        found: dict[str, Any] = json.loads((Path(self.place.adapter) / "adapter_config.json").read_text("utf-8"))
        return found

    @property
    def context(self) -> int:
        """Tokens of a text that the model reads at most."""
        virtual = int((self.adapter or {}).get("num_virtual_tokens") or 0)
        return (context_length(self.config) or 1 << 20) - virtual

    @cached_property
    def parameters(self) -> int:
        """Parameters of the whole model, about."""
        if self.scores:
            files = Path(self.place.model).glob("*.safetensors")
            return sum(file.stat().st_size for file in files) // BYTES.get(self.dtype, 4)
        return count_parameters(self.place.model)

    @cached_property
    def template(self) -> str:
        """The chat template of the training as text."""
        name, given = self.renderer.template_name, str(self.place.template)
        if name == "model":
            return str(self.renderer.tokenizer.get_chat_template())
        if name == "plain":
            return PLAIN
        return given if name == "inline" else Path(given).expanduser().read_text(encoding="utf-8")

    def mergeable(self) -> None:
        """Refuse what cannot become one whole language model.

        Raises:
            ModelError: an adapter of virtual tokens.
        """
        kind = str((self.adapter or {}).get("peft_type", "LORA"))
        if kind in VIRTUAL:
            raise ModelError(
                f"{self.target}: a {kind.lower().replace('_', ' ')} adapter puts virtual tokens before every text, and "
                "they cannot be merged into weights. Hand over the adapter itself: --to peft."
            )

    def writes_text(self, to: str) -> None:
        """Refuse a reward model where a language model is needed.

        Raises:
            ModelError: it is one.
        """
        if self.scores:
            raise ModelError(
                f"{self.target}: a reward model gives scores and writes no text, which {to} is for. Export it with "
                "--to hf, and read its scores with transformers or `vllm serve`."
            )

    def bytes_of(self, dtype: str) -> int:
        """Bytes of the whole model's weights in a type."""
        return self.parameters * BYTES.get(dtype, 4)

    @staticmethod
    def is_local(target: str) -> bool:
        """Whether a base is a folder on this machine, which nobody else can download."""
        return Path(target).exists() or target in BUNDLED
