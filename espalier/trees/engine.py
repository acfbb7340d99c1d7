"""The engine: one module whose forward answers a forest with log-probabilities. It is what DDP and FSDP2 wrap.

Two layouts, one `token_logps`: `trees`, the flat stream through the registered attention, and `rows`, a padded batch
through the model's own attention, for models that cannot share (`espalier.trees.probe` decides).
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from espalier.errors import ModelError
from espalier.models.heads import base_of, body_of, head_of, score_of
from espalier.models.load import context_length
from espalier.models.virtual import Virtual, virtual_of
from espalier.trees import attention
from espalier.trees.forest import Forest
from espalier.trees.layout import Layout
from espalier.trees.logps import Contextual, Functional, token_logps
from espalier.trees.tree import Tree

LayoutName = Literal["trees", "rows"]
States = Literal["last", "before", "scores"]


class Engine(nn.Module):
    """A causal language model that answers forests.

    Args:
        model: a transformers model, or a PEFT model around one. Its config is replaced by a copy of its own.
        layout: trees or rows.
        autocast: dtype of the body's and head's matrix products; None computes in the weights' own.
        tile: scored tokens per tile of logits.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        layout: LayoutName = "trees",
        autocast: torch.dtype | None = None,
        tile: int | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.layout: LayoutName = layout
        self.autocast = autocast
        self.tile = tile
        self.own_attention = own_config(base_of(model))
        self.rotary = rotary_limits(base_of(model).config.get_text_config())

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        return next(self.model.parameters()).device

    def forward(
        self,
        forest: Forest,
        *,
        functionals: Mapping[str, Functional | Contextual] | None = None,
        states: States | None = None,
    ) -> dict[str, Tensor]:
        """Answers per counted token: "logps" [tokens], one entry per functional, and on request "states".

        Args:
            forest: the examples; may be empty, the answers then are too but take part in the backward pass.
            functionals: per-token functions of the logits, by name. Each [tokens] or [tokens, k].
            states: hidden states at each completion's "last" token [completions, H], or at the position "before" each
                counted token [tokens, H], or in place of states the "scores" that a scalar head gives at the last token
                [completions]; then no logits are computed.
        """
        asked = forest
        if not forest.examples:  # ranks without rows still take part in every collective
            forest = Forest([Tree.of([_Nothing])], device=forest.device)
        hidden, sources, last = self._hidden(forest)
        if states == "last":
            found = {"states": hidden[last]}
        elif states == "scores":
            found = {"scores": score_of(self.model)(hidden[last])}
        elif states == "before":
            found = {"states": hidden[sources][forest.layout.scored]}
        else:
            layout = forest.layout
            unique = token_logps(
                hidden[sources],
                head_of(self.model),
                layout.targets,
                functionals=functionals,
                tile=self.tile,
                compute=self.autocast,
                seen=layout.seen,
            )
            found = {name: values[layout.scored] for name, values in unique.items()}
        return found if asked is forest else {name: values[:0] + 0 * values.sum() for name, values in found.items()}

    def _hidden(self, forest: Forest) -> tuple[Tensor, Tensor, Tensor]:
        """Hidden states [N, H], and where in them the scored tokens' sources and the completions' ends stand."""
        layout, base = forest.layout, base_of(self.model)
        if torch.is_grad_enabled() and base.training:
            recompute_alike(base)
        virtual = virtual_of(self.model)
        stretched = self._stretched(forest, virtual)
        if self.layout == "trees" and not stretched:
            with using(base, attention.NAME), self._casting():
                return self._stream(layout, virtual), layout.sources, layout.last
        ids, mask, sources, last = _rows(forest)
        with using(base, self.own_attention), self._casting():
            if stretched:  # the rows' lengths matter to each other: one at a time
                lone = [row[:n][None] for row, n in zip(ids, mask.sum(1).tolist(), strict=True)]
                found = [self._batch(row, None, virtual)[0] for row in lone]
                hidden = nn.utils.rnn.pad_sequence(found, batch_first=True)
            else:
                hidden = self._batch(ids, mask, virtual)
        return hidden.flatten(0, 1), sources, last

    def _stream(self, layout: Layout, virtual: Virtual | None) -> Tensor:
        """Hidden states of the stream, behind the virtual tokens where there are any. [N, H]"""
        skip = 0
        stream = {"input_ids": layout.ids[None], "position_ids": layout.positions[None]}
        if virtual is not None:
            embedded = base_of(self.model).get_input_embeddings()
            tokens, layout = layout.ids[None], layout.after(virtual.length)
            stream = {"input_ids": tokens, "position_ids": layout.positions[None, virtual.length :]}
            if virtual.embeddings is None:
                layout = replace(layout, prefix=virtual.layers)
            else:
                stream = {"inputs_embeds": virtual.before(embedded(tokens)), "position_ids": layout.positions[None]}
                skip = virtual.length
        out = body_of(self.model)(**stream, use_cache=False, forest=layout)
        hidden: Tensor = out.last_hidden_state[0, skip:]
        return hidden

    def _batch(self, ids: Tensor, mask: Tensor | None, virtual: Virtual | None) -> Tensor:
        """Hidden states of rows, behind the virtual tokens where there are any. [B, L] -> [B, L, H]"""
        rows: dict[str, Any] = {"input_ids": ids} if mask is None else {"input_ids": ids, "attention_mask": mask}
        skip = 0
        if virtual is not None:
            rows = started(self.model, virtual, ids, torch.ones_like(ids) if mask is None else mask)
            skip = virtual.length if virtual.embeddings is not None else 0
        hidden: Tensor = body_of(self.model)(**rows, use_cache=False).last_hidden_state[:, skip:]
        return hidden

    def _stretched(self, forest: Forest, virtual: Virtual | None) -> bool:
        """Whether a path is so long that its rotary frequencies would be taken for the paths beside it, too."""
        before = virtual.length if virtual is not None else 0
        longest = max(tree.longest for tree in forest.trees) + before
        context = context_length(base_of(self.model).config)
        if before and context is not None and longest > context:
            raise ModelError(
                f"a row has {longest - before} tokens and the adapter puts {before} before it: more than the model's "
                f"context of {context}. "
                + (f"Set max_tokens = {context - before}." if context > before else "Give it fewer tokens.")
            )
        limit = self.rotary.get("dynamic", longest)
        if longest > limit:
            raise ModelError(
                f"a row has {longest} tokens: beyond {limit} positions are scaled by the longest row seen so far, "
                f"so results would depend on the order of the rows. Set max_tokens = {limit}."
            )
        return longest > self.rotary.get("longrope", longest)

    def _casting(self) -> contextlib.AbstractContextManager[Any]:
        if self.autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.autocast)


class _Nothing:
    """A path of two tokens, the second scored: what an empty forest computes in place of nothing."""

    ids = (0, 0)
    mask = (False, True)


def started(model: nn.Module, virtual: Virtual, ids: Tensor, mask: Tensor) -> dict[str, Any]:
    """What a model's own body is given for rows that begin behind virtual tokens; mask [B, L] may pad on either side.

    Raises:
        ModelError: activations are checkpointed, and transformers then takes the keys and values away.
    """
    base = base_of(model)
    mask = torch.cat([mask.new_ones(len(ids), virtual.length), mask], 1)
    positions = (mask.cumsum(-1) - 1).clamp_(min=0)
    if virtual.embeddings is not None:
        embeddings = virtual.before(base.get_input_embeddings()(ids))
        return {"inputs_embeds": embeddings, "attention_mask": mask, "position_ids": positions}
    if base.is_gradient_checkpointing and base.training:
        raise ModelError("a prefix cannot be trained with activation_checkpointing on this model; leave that out.")
    positions, cache = positions[:, virtual.length :], virtual.cache(len(ids))
    return {"input_ids": ids, "attention_mask": mask, "position_ids": positions, "past_key_values": cache}


def own_config(model: Any) -> str:
    """Give a model a config of its own (two models made from one config share it) and return its attention's name."""
    copies: dict[int, Any] = {}
    for module in model.modules():
        config = vars(module).get("config")
        if hasattr(config, "_attn_implementation"):
            module.config = copy.deepcopy(config, copies)
    return str(model.config._attn_implementation)


@contextlib.contextmanager
def using(model: Any, name: str) -> Iterator[None]:
    """Run a model with another attention function; the configs that single layers keep follow."""
    found = [model.config.get_text_config(), *(vars(module).get("config") for module in model.modules())]
    configs = {id(config): config for config in found if hasattr(config, "_attn_implementation")}.values()
    before = [config._attn_implementation for config in configs]
    for config in configs:
        config._attn_implementation_internal = name
    try:
        yield
    finally:
        for config, was in zip(configs, before, strict=True):
            config._attn_implementation_internal = was


def recompute_alike(model: Any) -> None:
    """Make activation checkpointing run layers again with the attention they had, though `using` has ended by then."""

    def contexts() -> tuple[Any, Any]:  # of the forward pass, and of the recomputation
        return contextlib.nullcontext(), _Again(model, model.config.get_text_config()._attn_implementation)

    for module in model.modules():
        checkpoint = vars(module).get("_gradient_checkpointing_func")
        if checkpoint is not None:
            module._gradient_checkpointing_func = functools.partial(checkpoint, context_fn=contexts)


class _Again:
    """`using` that is entered as often as layers are run again: twice where a loss has two backward passes."""

    def __init__(self, model: Any, name: str) -> None:
        self.how = (model, name)

    def __enter__(self) -> None:
        """Switch to the attention of the forward pass."""
        self.within = using(*self.how)
        self.within.__enter__()

    def __exit__(self, *error: Any) -> None:
        """Switch back."""
        self.within.__exit__(*error)


def rotary_limits(config: Any) -> dict[str, int]:
    """By kind of rotary scaling, the length beyond which the frequencies depend on more than the row itself.

    Beyond it `longrope` takes other frequencies for all rows computed together, and `dynamic` for all later rows too.
    """
    rope = getattr(config, "rope_parameters", None) or {}
    limits = {}
    for part in rope.values() if all(isinstance(value, dict) for value in rope.values()) else [rope]:
        if part.get("rope_type") == "longrope":
            limits["longrope"] = part["original_max_position_embeddings"]
        elif "dynamic" in part.get("rope_type", ""):
            limits["dynamic"] = config.max_position_embeddings
    return limits


def _rows(forest: Forest) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The forest as a batch padded on the right: ids and mask [B, L], flat places of sources [S] and of ends."""
    paths = forest.paths
    width = max(len(path.ids) for path in paths)
    ids = torch.zeros(len(paths), width, dtype=torch.long)
    mask = torch.zeros(len(paths), width, dtype=torch.long)
    before = []
    for row, path in enumerate(paths):
        ids[row, : len(path.ids)] = torch.from_numpy(path.ids)
        mask[row, : len(path.ids)] = 1
        before.append(torch.from_numpy(path.counted - 1) + row * width)
    entries = torch.cat(before).to(forest.device)
    layout = forest.layout
    # A token shared by several completions is computed in each of them here; any one will do.
    sources = entries.new_zeros(layout.targets.shape).scatter_(0, layout.scored, entries)
    last = torch.tensor([row * width + len(path.ids) - 1 for row, path in enumerate(paths)], device=forest.device)
    return ids.to(forest.device), mask.to(forest.device), sources, last
