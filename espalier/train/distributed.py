"""Ranks: who we are under torchrun, sums over ranks, and what wraps the engine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from espalier.errors import RecipeError

if TYPE_CHECKING:
    from espalier.models.roles import Models

T = TypeVar("T")
PATIENCE = timedelta(hours=2)  # the others wait while the first rank reads the rows


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
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    dist.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield
        barrier()
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


def first(make: Callable[[], T]) -> T:
    """What `make` returns, made by the first rank before the others make it: they find what it left on disk."""
    if rank() == 0:
        try:
            return make()
        finally:  # the others then fail by themselves, for the same reason
            barrier()
    barrier()
    return make()


def agreed(value: T) -> T:
    """What the first rank found, on every rank: what is measured differs from process to process."""
    if world_size() == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


def gathered(value: T) -> list[T]:
    """What every rank found, on every rank, in the order of the ranks."""
    if world_size() == 1:
        return [value]
    found: list[Any] = [None] * world_size()
    dist.all_gather_object(found, value)
    return found


def spread(models: Models, strategy: str) -> None:
    """Have the ranks train the policy together; alone, nothing changes.

    Args:
        models: the roles; their parameters are others afterwards with fsdp.
        strategy: ddp (every rank holds the models) or fsdp (every rank holds a share of them).
    """
    if strategy not in ("ddp", "fsdp"):
        raise RecipeError(f"no strategy named {strategy!r}. Known: ddp, fsdp.")
    if world_size() == 1:
        return
    if strategy == "ddp":
        from torch.nn.parallel import DistributedDataParallel

        engine: Any = models.policy.inner
        engine._ddp_params_and_buffers_to_ignore = [name for name, _ in engine.named_buffers()]  # they never change
        models.policy.engine = DistributedDataParallel(engine)
        return
    for engine in {id(role.inner): role.inner for role in models.roles.values()}.values():
        shard(engine)
    for role in models.roles.values():
        role.most = most_over_ranks


def shard(engine: nn.Module) -> None:
    """Share an engine's parameters out over the ranks, block by block; the head is read outside of its own forward."""
    from torch.distributed.fsdp import fully_shard

    names = _block_names(engine)
    for module in engine.modules():
        if type(module).__name__ in names:
            fully_shard(module)
    # Resharded after every forward pass: what is read or written in between is the share, never a gathered copy.
    fully_shard(engine, reshard_after_forward=True)


def _block_names(engine: nn.Module) -> set[str]:
    """Class names of the model's repeated blocks."""
    return {str(name) for module in engine.modules() for name in getattr(module, "_no_split_modules", None) or ()}


@contextlib.contextmanager
def no_sync(engine: nn.Module, last: bool) -> Iterator[None]:
    """Gradients travel between ranks with the last piece only."""
    wrapped: Any = engine
    if hasattr(wrapped, "set_requires_gradient_sync"):  # FSDP2
        wrapped.set_requires_gradient_sync(last)
    with wrapped.no_sync() if hasattr(wrapped, "no_sync") and not last else contextlib.nullcontext():  # DDP
        yield
