"""Ranks: who we are under torchrun, sums over ranks, and what wraps the engine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from espalier.errors import RecipeError


def rank() -> int:
    """This process's number, 0 when alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextlib.contextmanager
def ranks(device: str) -> Iterator[None]:
    """Join the other ranks when started by torchrun; leave them at the end."""
    if "RANK" not in os.environ or dist.is_initialized():
        yield
        return
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def _reduce(value: float, how: Any) -> float:
    if world_size() == 1:
        return value
    device = torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
    tensor = torch.tensor(value, dtype=torch.float64, device=device)
    dist.all_reduce(tensor, op=how)
    return float(tensor)


def sum_over_ranks(value: float) -> float:
    """The sum of a number over all ranks."""
    return _reduce(value, dist.ReduceOp.SUM) if world_size() > 1 else value


def most_over_ranks(value: int) -> int:
    """The largest of a number over all ranks."""
    return int(_reduce(value, dist.ReduceOp.MAX)) if world_size() > 1 else value


def barrier() -> None:
    """Wait until every rank is here."""
    if world_size() > 1:
        dist.barrier()


def wrap(engine: nn.Module, strategy: str) -> nn.Module:
    """The engine as DDP or FSDP2 wants it; alone, the engine itself.

    Args:
        engine: the engine.
        strategy: ddp (every rank holds the model) or fsdp (every rank holds a share of it).
    """
    if world_size() == 1:
        return engine
    if strategy == "ddp":
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(engine)
    if strategy == "fsdp":
        from torch.distributed.fsdp import fully_shard

        for module in engine.modules():
            if type(module).__name__ in _block_names(engine):
                fully_shard(module)
        return fully_shard(engine)
    raise RecipeError(f"no strategy named {strategy!r}. Known: ddp, fsdp.")


def _block_names(engine: nn.Module) -> set[str]:
    """Class names of the model's repeated blocks."""
    return {str(name) for module in engine.modules() for name in getattr(module, "_no_split_modules", None) or ()}


@contextlib.contextmanager
def no_sync(engine: nn.Module, last: bool) -> Iterator[None]:
    """Gradients travel between ranks with the last piece only."""
    if last or not hasattr(engine, "no_sync"):
        yield
        return
    with engine.no_sync():
        yield
