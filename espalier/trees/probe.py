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
from espalier.models.heads import base_of
from espalier.trees.engine import Engine, LayoutName, rotary_limits
from espalier.trees.forest import Forest
from espalier.trees.tree import Branch, Tree
from espalier.trees.twin import has_windows, twin_of

EXACT = 1e-3  # nats, in float32: agreement is some 1e-6, a cap, window or sink that is dropped from the twin 0.05 to 3
SLOPE = 1e-2  # of the largest gradient
COARSE = 0.25  # nats in the mean, for weights of less precision: a wrong head is off by more
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
        subjects = [Subject(found) for found in (twin, model) if found is not None]
        shared = _problem(subjects, "trees")
        if twin is None and (not subjects[-1].exact or has_windows(base)):
            shared = "no small model of its class can be made to try it on"
        if shared is None:
            return Verdict("trees", "prompts are shared: it agrees with the model's own forward")
        alone = _problem(subjects, "rows")
    kind = type(base).__name__
    if alone is not None:
        raise ModelError(
            f"{kind} is not supported: its log-probabilities cannot be reproduced ({alone}). Give another model."
        )
    verdict = Verdict("rows", f"{kind} cannot share prompts between completions ({shared})")
    factor = subjects[-1].forest.sharing
    log.warning("%s; each is computed with its own, on the probe's rows %.1f times the tokens.", verdict.reason, factor)
    return verdict


def _require_causal(model: Any, max_tokens: int | None) -> None:
    base = base_of(model)
    kind = type(base).__name__
    if getattr(base.config, "is_encoder_decoder", False) or base.get_output_embeddings() is None:
        raise ModelError(f"{kind} is no causal language model. Give one that writes text from left to right.")
    limit = rotary_limits(base.config.get_text_config()).get("dynamic")
    if limit is not None and (max_tokens or 0) > limit:
        raise ModelError(
            f"{kind} scales positions beyond {limit} tokens by the longest row it has seen, so results would depend on "
            f"the order of the rows. Set max_tokens = {limit}."
        )


@contextlib.contextmanager
def _left_as_it_was(model: nn.Module) -> Iterator[None]:
    """In eval mode and full precision, without a gradient for any weight, and a fresh adapter moved so that it acts."""
    modes = [(module, module.training) for module in model.modules()]
    trained = [p for p in model.parameters() if p.requires_grad]
    adapter = [(p, p.detach().clone()) for p in trained] if hasattr(model, "peft_config") else []
    precision = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("highest")
        model.eval()
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(0)
            for p in trained:
                p.requires_grad_(False)
            for p, _ in adapter:
                p.add_(torch.randn(p.shape).to(p), alpha=0.05)
            yield
    finally:
        for p, before in adapter:
            p.data.copy_(before)
        for p in trained:
            p.requires_grad_(True)
        for module, training in modes:
            module.training = training
        torch.set_float32_matmul_precision(precision)


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

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.exact = all(p.dtype in (torch.float32, torch.float64) for p in model.parameters())
        self.tolerance = EXACT if self.exact else COARSE
        self.device = next(model.parameters()).device
        base = base_of(model)
        self.forest = Forest(_trees(base.config.get_text_config()), device=self.device, min_shared=1)
        layout = self.forest.layout
        self.weights = torch.randn(self.forest.size("token")).to(self.device)
        self.places = []  # of each completion's tokens in the stream
        for path, chain in zip(self.forest.paths, self.forest.grown[1], strict=True):
            runs = [np.arange(layout.starts[n], layout.starts[n] + len(layout.nodes[n].ids)) for n in chain]
            self.places.append(torch.from_numpy(np.concatenate(runs)[: len(path.ids)]).to(self.device))
        try:
            self.logps, self.gradient = self._own()
        except ModelError:
            raise
        except Exception as error:
            raise ModelError(f"{type(base).__name__}: its own forward fails: {error}") from error

    def problem(self, layout: LayoutName) -> str | None:
        """How a layout misses the model's own answers, or None."""
        engine = Engine(self.model, layout=layout)
        with self._embedded() as embedded, torch.set_grad_enabled(self.exact):
            logps = engine(self.forest)["logps"]
        off = (logps.detach() - self.logps).abs()
        worst = float(off.max() if self.exact else off.mean())
        if not worst <= self.tolerance:
            return f"log-probabilities differ by {worst:.2g} nats"
        if layout == "rows" or not self.exact:  # rows run through the model's own attention, gradients too
            return None
        off = (self._gradient(logps, embedded, layout) - self.gradient).abs()
        worst = float(off.max() / self.gradient.abs().max().clamp_min(1e-30))
        return None if worst <= SLOPE else f"gradients differ by {worst:.2g} of the largest"

    def _own(self) -> tuple[Tensor, Tensor]:
        """One completion at a time, the model's own log-probabilities [tokens] and gradient on the stream [N, H]."""
        rows, found = [], []
        with self._embedded() as embedded, torch.set_grad_enabled(self.exact):
            for path in self.forest.paths:
                ids, counted = (torch.from_numpy(x).long().to(self.device) for x in (path.ids, path.counted))
                logits = self.model(input_ids=ids[None], use_cache=False).logits[0, -len(ids) :]  # virtual tokens first
                rows.append(logits.float().log_softmax(-1))
                found.append(rows[-1][counted - 1, ids[counted]])
        self._require_same_beginnings([row.detach() for row in rows])
        logps = torch.cat(found)
        return logps.detach(), self._gradient(logps, embedded, "rows")

    def _require_same_beginnings(self, rows: Sequence[Tensor]) -> None:
        """What is predicted within the part that two completions share must not depend on what follows it."""
        seen: dict[int, Tensor] = {}
        for row, places in zip(rows, self.places, strict=True):
            for place, logps in zip(places.tolist(), row, strict=True):
                if float((seen.setdefault(place, logps) - logps).abs().mean()) > self.tolerance:
                    name = type(base_of(self.model)).__name__
                    raise ModelError(f"{name} is no causal language model: what it predicts depends on what follows.")

    @contextlib.contextmanager
    def _embedded(self) -> Iterator[list[Tensor]]:
        """Catch the embedded tokens and ask for their gradient: every model has them, a frozen or quantized one too."""
        caught: list[Tensor] = []

        def catch(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
            caught.append(output.detach().requires_grad_(self.exact))
            return caught[-1].clone()  # some models scale it in place

        handle = base_of(self.model).get_input_embeddings().register_forward_hook(catch)
        try:
            yield caught
        finally:
            handle.remove()

    def _gradient(self, logps: Tensor, embedded: Sequence[Tensor], layout: LayoutName) -> Tensor:
        """Gradient of a random sum of log-probabilities in the embedded tokens, added up on the stream. [N, H]"""
        if not self.exact:
            return logps.new_zeros(0)
        gradients = torch.autograd.grad((logps * self.weights).sum(), embedded)
        if layout == "trees":
            return gradients[0][0]
        stream = logps.new_zeros(len(self.forest.layout.ids), gradients[0].shape[-1])
        for row, places in zip((row for batch in gradients for row in batch), self.places, strict=True):
            stream.index_add_(0, places, row[: len(places)])
        return stream


def _trees(config: Any) -> list[Tree]:
    """Three examples of 1, 2 and 3 completions, prompts of different length, completions that share a beginning."""
    ids = np.random.default_rng(0).integers(3, min(config.vocab_size, 1000), 64).tolist()
    start, ids = ids[:1], [i for i in ids[1:] if i != config.pad_token_id]

    def path(prompt: list[int], completion: list[int]) -> Branch:
        mask = [False] * len(prompt) + [True] * len(completion)
        return Branch(np.array(prompt + completion, np.int32), np.array(mask))

    short, middle, long = start + ids[:2], start + ids[2:6], start + ids[6:12]
    first, second, third = ids[12:17], ids[17:20], ids[20:24]
    return [
        Tree((path(short, first),)),
        Tree((path(middle, second), path(middle, third))),
        Tree((path(long, first), path(long, first[:2] + second), path(long, third))),
    ]
