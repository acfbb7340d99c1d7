"""The options of a training run that belong to no method: how long, how fast, on what, how often measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from espalier.errors import RecipeError


@dataclass(frozen=True)
class TrainOptions:
    """Options of `espalier train`; a `None` is decided from the preset, the model or the machine, and recorded."""

    learning_rate: float | None = None  # from the objective's preset
    batch_size: int | None = None  # examples per optimizer step, over all ranks; from the preset
    epochs: float | None = None  # passes over the rows; from the preset
    max_steps: int | None = None  # stop after so many optimizer steps
    max_tokens: int | None = (
        None  # longest example, prompt included; longer rows are dropped and counted; the model's context
    )
    tokens_per_piece: int | None = None  # tokens computed at once; less needs less memory, the result is the same
    warmup: float | None = None  # share of the steps (below 1) or number of steps, in which the learning rate rises
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    max_norm: float = 1.0  # gradients are clipped to this norm; 0 turns clipping off
    seed: int = 0
    preset: str | None = None  # paper or small; small when an adapter is trained or rows are few
    reference: Literal["cached", "live"] = (
        "cached"  # cached (computed once, kept on disk) or live (computed at every step)
    )
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"  # auto is measured on this machine, recorded in the run
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    threads: int | None = None  # CPU threads; the physical cores
    strategy: Literal["ddp", "fsdp"] = (
        "ddp"  # under torchrun: ddp (each rank holds the model) or fsdp (each holds a share)
    )
    activation_checkpointing: bool = (
        False  # recompute activations in the backward pass: less memory, a quarter more time
    )
    checkpoint_layers: int | None = None  # the same for every so many-th layer alone; 2 saves half and costs half
    quantize: Literal["nf4", "int8"] | None = None  # the frozen base weights in 4 bits (nf4) or 8 (int8)
    eval_share: float = 0.05  # share of the rows held back for evaluation
    eval_rows: int = 200  # at most so many held-back rows
    eval_group: str | None = None  # column whose values stay together when rows are held back
    general: str = "auto"  # rows that show what is forgotten: a file, auto (what the model itself says), or off
    eval_every: int | None = None  # steps between evaluations; a tenth of the run
    save_every: int | None = None  # steps between checkpoints; a tenth of the run
    limit: int | None = None  # read only so many rows
    accept_dropped: bool = False  # go on although more than a fifth of the rows is dropped

    def __post_init__(self) -> None:
        """Refuse numbers that no run can have.

        Raises:
            RecipeError: which option, and what it may be.
        """
        for name in ("learning_rate", "epochs"):
            self._require(name, lambda value: 0 < value < math.inf, "above 0")
        counts = ("batch_size", "max_steps", "tokens_per_piece", "threads", "checkpoint_layers", "limit")
        for name in (*counts, "eval_every", "save_every"):
            self._require(name, lambda value: value >= 1, "at least 1")
        for name in ("warmup", "max_norm", "eval_rows"):
            self._require(name, lambda value: 0 <= value < math.inf, "0 or more")
        self._require("max_tokens", lambda value: value >= 2, "at least 2")
        self._require("eval_share", lambda value: 0 <= value < 1, "from 0 up to, not including, 1")

    def _require(self, name: str, fits: Callable[[Any], bool], wanted: str) -> None:
        value = getattr(self, name)
        if value is not None and not fits(value):
            raise RecipeError(f"[train]: {name!r} must be {wanted}, not {value!r}.")
