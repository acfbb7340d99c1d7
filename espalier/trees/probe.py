"""Which layout a model can be served by: three trees against the model's own forward, one completion at a time.

Log-probabilities and one gradient are compared, on the model itself and on a small twin of it (`espalier.trees.twin`).
One tree would not do: models that carry a state along the row agree on it, and go wrong from the second on.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from espalier.errors import ModelError
from espalier.models.heads import base_of, head_of
from espalier.trees.engine import Engine, LayoutName, rotary_limits
from espalier.trees.forest import Forest
from espalier.trees.tree import Branch, Tree
from espalier.trees.twin import twin_of

TWIN = 1e-4  # nats, and share of the largest gradient; agreement is some 1e-6, a dropped cap or window 1e-2 and more
OWN = 1e-3  # float32 through many layers
COARSE = 0.25  # nats in the mean, for weights of less precision: a wrong head or adapter is off by more
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Verdict:
    """How a model is served, and why."""

    layout: LayoutName
    reason: str


def choose_layout(model: nn.Module, *, max_tokens: int | None = None) -> Verdict:
    """Compare both layouts with the model's own forward, the faster first; the model is left as it was.

    Args:
        model: a transformers model, or a PEFT model around one.
        max_tokens: the longest row there will be; a longer attention window cannot matter then.

    Raises:
        ModelError: no causal language model, or one that neither layout gets right.
    """
    base = base_of(model)
    _require_causal(model, max_tokens)
    with _left_as_it_was(model):
        twin = twin_of(base, max_tokens)
        subjects = [Subject(twin, TWIN)] if twin is not None else []
        subjects.append(Subject(model, OWN if _is_exact(base) else COARSE))
        shared = _problem(subjects, "trees")
        if shared is None:
            return Verdict("trees", "prompts are shared: it agrees with the model's own forward")
        alone = _problem(subjects, "rows")
    kind = type(base).__name__
    if alone is not None:
        raise ModelError(f"{kind} is not supported: its log-probabilities cannot be reproduced ({alone}).")
    verdict = Verdict("rows", f"{kind} cannot share prompts between completions ({shared})")
    factor = subjects[-1].forest.sharing
    log.warning("%s; each is computed with its own, on the probe's rows %.1f times the tokens.", verdict.reason, factor)
    return verdict


def _require_causal(model: Any, max_tokens: int | None) -> None:
    base = base_of(model)
    kind, config = type(base).__name__, base.config.get_text_config()
    if base.config.is_encoder_decoder or not base.can_generate():
        raise ModelError(f"{kind} is no causal language model. Give one that generates text from left to right.")
    if getattr(model, "active_peft_config", None) is not None and model.active_peft_config.is_prompt_learning:
        raise ModelError("adapters of virtual tokens (prompt, prefix and P-tuning) are not supported on a loaded model.")
    limit = rotary_limits(config).get("dynamic")
    if limit is not None and (max_tokens or 0) > limit:
        raise ModelError(
            f"{kind} scales positions beyond {limit} tokens by the longest row it has seen, so results would depend on the "
            f"order of the rows. Set max_tokens = {limit} or less."
        )
    head_of(model)


def _is_exact(model: nn.Module) -> bool:
    return all(p.dtype in (torch.float32, torch.float64) for p in model.parameters())


def _problem(subjects: Sequence[Subject], layout: LayoutName) -> str | None:
    """Why a layout cannot serve, or None."""
    for subject in subjects:
        try:
            problem = subject.problem(layout)
        except ModelError:
            raise
        except Exception as error:  # a model that cannot share says so in its own way
            problem = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        if problem is not None:
            return problem
    return None


class Subject:
    """A model under test: its own answers to the probe, computed once, and how far they may be missed."""

    def __init__(self, model: nn.Module, tolerance: float) -> None:
        self.model = model
        self.tolerance = tolerance
        self.exact = tolerance < COARSE
        device = next(model.parameters()).device
        self.forest = Forest(_trees(base_of(model).config.get_text_config()), device=device, min_shared=1)
        self.weights = torch.randn(self.forest.size("token"), generator=torch.Generator().manual_seed(1)).to(device)
        nodes, starts = self.forest.grown[1], self.forest.layout.starts
        runs = [[torch.arange(starts[n], starts[n] + len(self.forest.layout.nodes[n].ids)) for n in c] for c in nodes]
        self.places = [torch.cat(run)[: len(p.ids)].to(device) for run, p in zip(runs, self.forest.paths, strict=True)]
        self.logps, self.gradient = self._own()

    def _own(self) -> tuple[Tensor, Tensor]:
        """The model's own forward, one completion at a time: log-probabilities [tokens], gradient on the stream [N, H]."""
        found, seen, gradients = [], {}, []
        for path, places in zip(self.forest.paths, self.places, strict=True):
            ids = torch.from_numpy(path.ids).long().to(places.device)
            with self._embedded() as embedded:
                logits = self.model(input_ids=ids[None], use_cache=False).logits[0].float()
            counted = torch.from_numpy(path.counted).to(places.device)
            logps = logits.log_softmax(-1)
            found.append(logps[counted - 1, ids[counted]])
            self._check_causal(logps.detach(), places, seen)
            gradients.append(embedded)
        logps = torch.cat(found)
        return logps.detach(), self._gradient(logps, gradients)

    def _check_causal(self, logps: Tensor, places: Tensor, seen: dict[int, Tensor]) -> None:
        """What two completions share must not depend on what follows it."""
        for row, place in zip(logps, places.tolist(), strict=True):
            before = seen.setdefault(place, row)
            if float((before - row).abs().mean()) > self.tolerance:
                name = type(base_of(self.model)).__name__
                raise ModelError(f"{name} is no causal language model: what it predicts depends on what comes after.")

    def problem(self, layout: LayoutName) -> str | None:
        """How a layout misses the model's own answers, or None."""
        engine = Engine(self.model, layout=layout)
        with self._embedded() as embedded:
            logps = engine(self.forest)["logps"]
        off = (logps.detach() - self.logps).abs()
        worst = float(off.max() if self.exact else off.mean())
        if not worst <= self.tolerance:
            return f"log-probabilities differ by {worst:.2g} nats"
        gradient = self._gradient(logps, [embedded])
        worst = float((gradient - self.gradient).abs().max() / self.gradient.abs().max()) if self.exact else 0.0
        return f"gradients differ by {worst:.2g} of the largest" if not worst <= self.tolerance else None

    @contextlib.contextmanager
    def _embedded(self) -> Iterator[list[Tensor]]:
        """Catch the embedded tokens, and have them ask for a gradient: every model has them, frozen and quantized too."""
        caught: list[Tensor] = []

        def catch(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            caught.append(output.detach().requires_grad_(self.exact))
            return caught[-1]

        handle = base_of(self.model).get_input_embeddings().register_forward_hook(catch)
        try:
            yield caught
        finally:
            handle.remove()

    def _gradient(self, logps: Tensor, embedded: Sequence[list[Tensor]]) -> Tensor:
        """Gradient of a random sum in the embedded tokens, gathered on the stream. [N, H]"""
        ...
