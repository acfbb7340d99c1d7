"""Opening a model: device, precision, weights, adapter, renderer, layout; everything looked up once and recorded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from espalier.errors import EspalierError, ModelError, RecipeError
from espalier.models import load as models
from espalier.models import saved
from espalier.models.precision import Precision, decide
from espalier.models.roles import Role
from espalier.render import Renderer
from espalier.run import Loaded, Located, locate
from espalier.trees.engine import Engine
from espalier.trees.probe import choose_layout

PIECE = {"cpu": 768, "mps": 4096, "cuda": 16384}  # tokens per piece: where more brings no more speed


@dataclass(frozen=True)
class Decisions:
    """What was decided by looking at the machine and the model; a resumed run reads it back."""

    device: str
    threads: int
    precision: Precision
    layout: str
    layout_reason: str
    tokens_per_piece: int
    checkpoint_layers: int = 0  # activations of every so many-th layer are computed again

    def table(self) -> dict[str, Any]:
        """For run.json."""
        return asdict(self)

    @classmethod
    def of(cls, table: dict[str, Any]) -> Decisions:
        """From run.json."""
        return cls(**{**table, "precision": Precision(**table["precision"])})


def choose_device(wanted: str) -> str:
    """The device asked for, or the best there is.

    Raises:
        RecipeError: it does not exist here.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if there[name])
    if wanted not in there:
        raise RecipeError(f"no device named {wanted!r}. Known: auto, cpu, cuda, mps.")
    if not there[wanted]:
        raise RecipeError(f"device = {wanted}: torch sees none here; `espalier doctor` says what it sees.")
    return wanted


def physical_cores() -> int:
    """Cores this process may use, hyper-threads counted once; OMP_NUM_THREADS where it is set."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdigit() and int(asked):
        return int(asked)
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    siblings = set()
    for cpu in range(os.cpu_count() or 1):
        try:
            with open(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list", encoding="ascii") as file:
                siblings.add(file.read().strip())
        except OSError:
            return allowed
    return max(1, min(allowed, len(siblings)))


def open_renderer(place: Located, template: str | None = None, thinking: str | None = None) -> Renderer:
    """The renderer a model was trained with, or the model's own."""
    tokenizer = models.load_tokenizer(models.Place(place.model, place.adapter).tokenizer)
    return Renderer(tokenizer, template=template or place.template, thinking=thinking or place.thinking)


def count_parameters(target: str) -> int:
    """Parameters of a model, from its config alone."""
    from transformers import AutoModelForCausalLM

    config = models.load_config(target)
    models.require_text(target, config)
    with torch.device("meta"):
        try:
            return sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())
        except ValueError as error:
            raise ModelError(
                f"{target}: {type(config).__name__} has no causal language model. Give one that has."
            ) from error


def open_weights(
    place: Located,
    precision: Precision,
    device: str,
    *,
    trains_all: bool,
    quantize: str | None = None,
    trainable: bool = False,
) -> nn.Module:
    """The weights, and the adapter over them where there is one."""
    dtype = precision.frozen_weights(trains_all=trains_all)
    model = models.load_model(place.model, dtype=dtype, device=device, quantize=quantize)
    if place.adapter is None:
        return model
    return saved.load_adapter(model, place.adapter, trainable=trainable)


def prepare_machine(precision: Precision, threads: int) -> None:
    """Set threads and the float32 matrix product, as decided."""
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision.matmul)


def open_model(place: Located, *, device: str, dtype: str, options: dict[str, Any]) -> Loaded:
    """A model for answering and measuring; nothing is trained."""
    chosen = choose_device(device)
    if place.run is not None and dtype == "auto":
        dtype = Decisions.of(place.run.info()["decisions"]).precision.compute
    precision = decide(dtype, chosen, count_parameters(place.model))
    prepare_machine(precision, physical_cores())
    renderer = open_renderer(place, options.get("template"), options.get("thinking"))
    model = open_weights(place, precision, chosen, trains_all=place.adapter is None)
    model.requires_grad_(False).eval()
    verdict = choose_layout(model)
    engine = Engine(model, layout=verdict.layout, autocast=precision.autocast)
    describe = place.model if place.adapter is None else f"{place.model} with the adapter {place.adapter}"
    policy = Role(engine, max_tokens=PIECE[chosen], describe=describe)
    switch = _base(model, place)
    base = Role(engine, max_tokens=PIECE[chosen], context=switch[0], describe=switch[1]) if switch else None
    return Loaded(policy, renderer, describe, base)


def _base(model: Any, place: Located) -> tuple[Callable[[], contextlib.AbstractContextManager[Any]], str] | None:
    """How to answer as what an adapter began at, and what that is: the adapter of an earlier run, or none at all."""
    if not hasattr(model, "disable_adapter"):
        return None
    began = place.run.recipe.from_run if place.run is not None else None
    try:
        adapter = locate(began).adapter if began else None
    except EspalierError:  # that run is gone, and nothing can be said against it
        return None
    if began is None or adapter is None or not hasattr(model, "peft_config"):
        return model.disable_adapter, place.model
    active, earlier = model.active_adapter, "earlier"
    saved.load_second_adapter(model, adapter, earlier)

    @contextlib.contextmanager
    def switched() -> Iterator[None]:
        model.set_adapter(earlier)
        try:
            yield
        finally:
            model.set_adapter(active)

    return switched, began
