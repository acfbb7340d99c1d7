"""One whole model in float32: the kept base with its adapter merged in, equal to the run before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from espalier.errors import ModelError
from espalier.export.conversations import Talk, render_all, same_logps, score_all
from espalier.export.source import Source
from espalier.export.template import shared_template
from espalier.models.added import Attached
from espalier.models.heads import base_of
from espalier.models.load import quietly
from espalier.run import load

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Merged:
    """A whole model, and what its exports are compared with.

    Attributes:
        source: where it came from.
        model: of transformers, in float32 and on the CPU.
        talks: the conversations with the run's log-probabilities.
        template: the chat template as other programs apply it.
    """

    source: Source
    model: Any
    talks: list[Talk]
    template: str

    @property
    def tokenizer(self) -> Any:
        """The tokenizer with that template."""
        tokenizer = self.source.renderer.tokenizer
        tokenizer.chat_template = self.template
        return tokenizer


def merge(source: Source, tell: Tell) -> Merged:
    """Read the kept base in float32 and add the adapter to it; nothing is ever subtracted from merged weights.

    Raises:
        ModelError: the adapter cannot be merged, or the merged model is not the run's.
    """
    source.mergeable()
    talks = render_all(source.renderer, source.context)
    template = shared_template(source, talks)
    tell(f"reading {source.place.model} in float32" + (" and its adapter" if source.adapter else ""))
    loaded = load(source.target, device="cpu", dtype="float32")
    talks = score_all(talks, loaded.policy)
    model: Any = loaded.policy.inner.model
    if source.adapter:
        tell("merging")
        model = _without_adapter(model, source)
    same_logps(talks, model, "float32", "the merged model")
    return Merged(source, model, talks, template)


def _without_adapter(model: Any, source: Source) -> Any:
    _untie(model)
    if isinstance(model, Attached):
        return model.merge_and_unload()
    try:
        with quietly():
            whole: Any = model.merge_and_unload(safe_merge=True)
    except (AttributeError, NotImplementedError, ValueError, TypeError) as error:
        kind = str((source.adapter or {}).get("peft_type", "")).lower()
        reason = " ".join(str(error).split())[:160]
        raise ModelError(
            f"{source.target}: PEFT cannot merge this {kind} adapter ({reason}). Hand it over as it is: --to peft."
        ) from error
    return whole


def _untie(model: nn.Module) -> None:
    """Give the head weights of its own where an adapter changes it or the embedding it is tied to: one is not both."""
    base = base_of(model)
    into, out = base.get_input_embeddings(), base.get_output_embeddings()
    adapted = [layer for layer in (into, out) if hasattr(layer, "base_layer") or hasattr(layer, "modules_to_save")]
    plain = [_plain(layer) for layer in (into, out)]
    if not adapted or plain[0].weight is not plain[1].weight:
        return
    plain[1].weight = nn.Parameter(plain[1].weight.detach().clone(), requires_grad=False)
    for config in {id(c): c for c in (base.config, base.config.get_text_config())}.values():
        config.tie_word_embeddings = False


def _plain(layer: Any) -> Any:
    """The layer under what PEFT put around it."""
    return getattr(layer, "base_layer", getattr(layer, "original_module", layer))


def rounded(model: Any, dtype: str) -> Any:
    """The model with its weights in another type."""
    return model if dtype == "float32" else model.to(getattr(torch, dtype))
