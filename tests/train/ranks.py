"""What each rank does in the tests of several ranks: a process of its own, gloo, one thread."""

import os
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor

from espalier import starting, tuning
from espalier.errors import EspalierError
from espalier.models.roles import assemble
from espalier.objectives.dpo import DPO
from espalier.objectives.sft import SFT
from espalier.recipe import Recipe
from espalier.train import distributed
from espalier.train.loop import Changed
from espalier.train.step import optimize
from tests import running
from tests.train.toys import here, lora, pair, policy_of, single, small

RANKS = 2


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def together(work: Callable[..., None], *args: Any) -> None:
    """Do the work on every rank; a rank that fails or hangs fails the test."""
    port = free_port()
    processes = [running.SERVER.Process(target=_rank, args=(rank, port, work, *args)) for rank in range(RANKS)]
    for process in processes:
        process.start()
    assert [running.wait(process) for process in processes] == [0] * RANKS


def _rank(rank: int, port: int, work: Callable[..., None], *args: Any) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(RANKS), "MASTER_ADDR": "127.0.0.1"}
    os.environ |= {"MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    torch.set_num_threads(1)
    distributed.PATIENCE = timedelta(seconds=60)
    work(*args)


MODELS = {
    "full": lambda: small().double(),
    "tied": lambda: small(tie_word_embeddings=True).double(),
    "lora": lambda: lora(small()).double(),
}


def two_steps(strategy: str, objective: str, kind: str, examples: int, max_tokens: int | None, file: str) -> None:
    """Two optimizer steps and what comes of them: reports, gradients and weights, whole; the first rank writes them."""
    chosen, make = {"sft": (SFT(), single), "dpo": (DPO(), pair)}[objective]
    trees = [make(seed) for seed in range(examples)]
    with distributed.ranks("cpu"):
        model = MODELS[kind]()
        models = assemble(chosen, policy_of(model, max_tokens=25), fresh_adapter=False)
        if objective == "dpo":
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if parameter.requires_grad and "reference" not in name:
                        parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3)) * 0.05)
        distributed.spread(models, strategy)
        trained = {n: p for n, p in models.policy.inner.model.named_parameters() if p.requires_grad}
        optimizer = torch.optim.AdamW(trained.values(), lr=1e-2, fused=True)
        changed = Changed(optimizer)
        mine = trees[distributed.rank() :: distributed.world_size()]
        found: dict[str, Any] = {"reports": []}
        for number in range(2):
            forest = chosen.prepare(mine, models, here(number))
            optimizer.register_step_pre_hook(lambda *_: found.update(gradient=whole(trained, grad=True)))
            found["reports"].append(optimize(chosen, models, forest, optimizer, max_tokens=max_tokens, max_norm=0.5))
            changed.check(1e-2, last=True)
        found["weights"] = whole(trained)
        if distributed.rank() == 0:
            torch.save(found, file)


def whole(trained: dict[str, Any], grad: bool = False) -> dict[str, torch.Tensor]:
    values = {name: p.grad if grad else p.detach() for name, p in trained.items()}
    return {name: (v.full_tensor() if isinstance(v, DTensor) else v).clone() for name, v in values.items()}


def run(recipe: Recipe, cache: str, log: str, refused: bool = False) -> None:
    """A whole run; every rank notes what it was told."""
    os.environ["ESPALIER_CACHE"] = cache
    tuning.Measurement, starting.decide = running.Unmeasured, running.decided
    told: list[str] = []
    try:
        tuning.train(recipe, listen=lambda event: told.append(event.kind))
        assert not refused
    except EspalierError as error:
        assert refused, error
        told = [str(error)]
    Path(f"{log}-{os.environ['RANK']}").write_text("\n".join(told), encoding="utf-8")


def numbers(work: str) -> None:
    """Sums, maxima, what the first rank found, and what it does first."""
    with distributed.ranks("cpu"):
        rank = distributed.rank()
        assert distributed.sum_over_ranks(rank + 0.5) == 2.0
        assert distributed.most_over_ranks(3 * rank) == 3
        assert distributed.agreed({"rank": rank}) == {"rank": 0}
        folder = Path(work)

        def make() -> bool:
            there = (folder / "made").exists()
            (folder / "made").write_text("x", encoding="utf-8")
            return there

        assert distributed.first(make) == (rank == 1)
    assert not dist.is_initialized()
    assert distributed.world_size() == 1
