"""The options of a training run that belong to no method: how long, how fast, on what, how often measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainOptions:
    """Options of `espalier train`; a value of `None` is decided from the preset, the model or the machine, and recorded."""

    learning_rate: float | None = None  # from the objective's preset
    batch_size: int | None = None  # examples per optimizer step, over all ranks; from the preset
    epochs: float | None = None  # passes over the rows; from the preset
    max_steps: int | None = None  # stop after so many optimizer steps
    max_tokens: int | None = None  # longest example, prompt included; longer rows are dropped and counted; the model's context
    tokens_per_piece: int | None = None  # tokens computed at once; less needs less memory, the result is the same
    warmup: float | None = None  # share of the steps (below 1) or number of steps, in which the learning rate rises
    schedule: str = "cosine"  # cosine, linear or constant
    max_norm: float = 1.0  # gradients are clipped to this norm; 0 turns clipping off
    seed: int = 0
    preset: str | None = None  # paper or small; small when an adapter is trained or rows are few
    reference: str = "cached"  # cached (computed once, kept on disk) or live (computed at every step)
    dtype: str = "auto"  # float32, bfloat16 or auto (measured on this machine, recorded in the run)
    device: str = "auto"  # cpu, cuda, mps or auto
    threads: int | None = None  # CPU threads; the physical cores
    strategy: str = "ddp"  # under torchrun: ddp (each rank holds the model) or fsdp (each holds a share)
    activation_checkpointing: bool = False  # recompute activations in the backward pass: less memory, a quarter more time
    quantize: str | None = None  # nf4: the frozen base weights in 4 bits
    eval_share: float = 0.05  # share of the rows held back for evaluation
    eval_rows: int = 200  # at most so many held-back rows
    eval_group: str | None = None  # column whose values stay together when rows are held back
    eval_every: int | None = None  # steps between evaluations; a tenth of the run
    save_every: int | None = None  # steps between checkpoints; a tenth of the run
    limit: int | None = None  # read only so many rows
    accept_dropped: bool = False  # go on although more than a fifth of the rows is dropped
