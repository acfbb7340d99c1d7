"""The one loop: every objective, every adapter; `train/step.py` is its heart."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from espalier import seeding
from espalier.contracts import Adapter, Moment
from espalier.errors import RunError
from espalier.models.roles import Models
from espalier.train import distributed, schedules
from espalier.train.averaging import averaged
from espalier.train.reference import ReferenceCache
from espalier.train.step import Totals, optimize
from espalier.train.store import Order, Store
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree

Listen = Callable[["Event"], None]


@dataclass
class Here:
    """What `prepare` is handed: the step's number, its own chance, the reference cache, sums over the ranks."""

    number: int
    generator: torch.Generator
    cache: ReferenceCache | None = None
    sum_over_ranks: Callable[[float], float] = distributed.sum_over_ranks

    def reference_logps(self, forest: Forest, models: Any) -> Tensor:
        """Log-probabilities under the reference: cached, or computed now and cached. [tokens]"""
        if self.cache is None:
            with torch.no_grad():
                live: Tensor = models.reference.token_logps(forest)
            return live
        found = [self.cache.get(tree) for tree in forest.trees]
        missing = [tree for tree, logps in zip(forest.trees, found, strict=True) if logps is None]
        if missing:
            with torch.no_grad():
                logps = models.reference.token_logps(Forest.plant(missing, device=forest.device))
            self.cache.put(missing, logps.split([tree.counted for tree in missing]))
            found = [self.cache.get(tree) for tree in forest.trees]
        return torch.cat([torch.empty(0), *(logps for logps in found if logps is not None)]).to(forest.device)


@dataclass(frozen=True)
class Event:
    """Something that happened: kind is step, eval, save, note or reference; values are plain numbers and strings."""

    kind: str
    step: int
    values: dict[str, Any] = field(default_factory=dict)


@dataclass
class Job:
    """A training run as the loop needs it; everything is decided."""

    objective: Any
    models: Models
    optimizer: torch.optim.Optimizer
    store: Store
    order: Order
    held: Sequence[int]  # examples held back for evaluation
    steps: int
    learning_rate: float
    warmup: float
    schedule: str
    max_norm: float
    seed: int
    tokens_per_piece: int | None
    eval_every: int
    save_every: int
    cache: ReferenceCache | None = None
    save: Callable[[int, bool], None] = lambda step, best: None  # writes a checkpoint; best or not
    best: float = math.inf  # lowest held-back loss so far
    adapter: Adapter | None = None  # whose hooks are called
    moving: bool = False  # the loss is measured against roles that move, so the newest weights count as the best


def steps_of(job: Job, start: int) -> Iterator[tuple[int, list[Tree]]]:
    """The examples of each step from `start` on, this rank's share."""
    for step in range(start, job.steps):
        numbers = job.order.batch(step)
        yield step, [job.store[n] for n in numbers[distributed.rank() :: distributed.world_size()]]


def fit(
    job: Job, *, start: int = 0, listen: Listen = lambda event: None, stop: Callable[[], bool] = lambda: False
) -> int:
    """Train from step `start` until the job's steps are done or `stop` says so.

    Returns:
        The number of steps taken in all; a checkpoint of that step has been saved.
    """
    changed = Changed(job.optimizer)
    job.models.policy.inner.train()
    done, watched = start, start + min(3, job.steps - start)
    for number, trees in steps_of(job, start):
        begun = time.perf_counter()
        rate = job.learning_rate * schedules.factor(number, job.steps, schedule=job.schedule, warmup=job.warmup)
        for group in job.optimizer.param_groups:
            group["lr"] = rate * group.get("relative_lr", 1.0)
        torch.manual_seed(seeding.derive(job.seed, "step", number, distributed.rank()))
        forest = job.objective.prepare(trees, job.models, _here(job, number))
        report = {}
        for i, batch in enumerate(_minibatches(job, forest, number)):
            report = optimize(
                job.objective, job.models, batch, job.optimizer, max_tokens=job.tokens_per_piece, max_norm=job.max_norm,
                adapter=job.adapter, moment=_moment(job, number, i),
            )  # fmt: skip
            if number == 0 and batch is forest:
                _check_start(job, report["loss"] - report.get("penalty", 0.0))
        job.models.after_step(number)
        done = number + 1
        whole = start == 0 and done == job.steps
        changed.check(job.learning_rate, last=done >= watched and (rate >= job.learning_rate / 2 or whole))
        seconds = time.perf_counter() - begun
        tokens = distributed.sum_over_ranks(forest.layout.ids.numel())
        examples = len(job.order.batch(number))
        values = report | {"learning_rate": rate, "tokens": tokens, "seconds": seconds, "examples": examples}
        listen(Event("step", done, values))
        stopping = bool(distributed.most_over_ranks(stop()))
        if job.held and (done % job.eval_every == 0 or done == job.steps):
            with averaged(job.optimizer):
                found = evaluate(job)
            best = job.moving or found["loss"] < job.best
            job.best = min(job.best, found["loss"])
            listen(Event("eval", done, found | {"best": best}))
            job.save(done, best)
        elif stopping or done % job.save_every == 0 or done == job.steps:
            job.save(done, not job.held)
        if stopping:
            break
    job.models.policy.inner.eval()
    return done


def _here(job: Job, number: int) -> Here:
    return Here(number, seeding.generator(job.seed, "prepare", number), job.cache)


def _moment(job: Job, number: int, part: int) -> Moment:
    """One optimizer step: of those of a run, where a prepared batch serves several."""
    each = type(job.objective).passes * type(job.objective).minibatches
    chance = seeding.generator(job.seed, "adapter", number, part)
    return Moment(number * each + part, job.steps * each, chance)


def _minibatches(job: Job, forest: Forest, number: int) -> Iterator[Forest]:
    """The batches of optimizer steps that one prepared batch serves: itself, or PPO's passes over its minibatches."""
    passes, parts = type(job.objective).passes, type(job.objective).minibatches
    if passes == parts == 1:
        yield forest
        return
    for i in range(passes):
        order = torch.randperm(forest.examples, generator=seeding.generator(job.seed, "pass", number, i)).tolist()
        for part in range(parts):
            yield forest.batch(order[part::parts])


def _check_start(job: Job, loss: float) -> None:
    """Where the formula fixes the loss of an untouched policy, it must come out."""
    expected = job.objective.loss_at_start
    exact = job.models.policy.inner.autocast is None
    if expected is not None and abs(loss - expected) > (1e-4 if exact else 2e-2):
        raise RunError(
            f"the loss of the untouched policy is {loss:.6f} and must be {expected:.6f}: policy and reference disagree."
            " Nothing was saved; delete the reference cache, or run with reference = live."
        )


def evaluate(job: Job) -> dict[str, float]:
    """The objective on the held-back examples, without dropout: loss and metrics, over all ranks."""
    totals = Totals()
    counts: dict[str, float] = {}
    size = job.order.batch_size
    job.models.policy.inner.eval()
    with torch.no_grad():
        for at in range(0, len(job.held), size):
            numbers = job.held[at : at + size][distributed.rank() :: distributed.world_size()]
            forest = job.objective.prepare([job.store[n] for n in numbers], job.models, _here(job, -1 - at))
            totals.add(job.objective.loss(job.models, forest), forest)  # roles cut what has no gradient themselves
            for name, count in forest.counts.items():
                counts[name] = counts.get(name, 0.0) + count
    job.models.policy.inner.train()
    return totals.means({name: distributed.sum_over_ranks(count) or 1.0 for name, count in counts.items()})


class Changed:
    """Watches that training changes weights at all: bfloat16 swallows a small learning rate without a word."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        largest = sorted(parameters, key=lambda p: -p.numel())[:4]
        self.watched = [(p, _some(p).clone()) for p in [*largest, *parameters[-2:]]]

    def check(self, rate: float, *, last: bool) -> None:
        """Raise once enough steps have passed and not one watched weight has moved, on any rank."""
        if not self.watched:
            return
        if distributed.most_over_ranks(any(not torch.equal(_some(p), before) for p, before in self.watched)):
            self.watched = []
        elif last:
            kind = str(self.watched[0][0].dtype).removeprefix("torch.")
            raise RunError(
                f"the learning rate {rate:g} changes none of the {kind} weights. Raise it, or train weights of a wider "
                "dtype."
            )


def _some(parameter: Tensor) -> Tensor:
    """Up to a million of a parameter's weights, of this rank's share of them."""
    local: Tensor = parameter.to_local() if hasattr(parameter, "to_local") else parameter
    return local.detach().reshape(-1)[: 1 << 20]
