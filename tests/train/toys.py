"""What tests of the loop need in memory: random examples, a tiny model as policy, a job, toy objectives."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from espalier.contracts import Loss, Term
from espalier.models.roles import Models, Role, assemble
from espalier.train.loop import Here, Job
from espalier.train.objective import Objective, per_example
from espalier.train.reference import ReferenceCache, weights_key
from espalier.train.store import Order, Store, StoreWriter
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from espalier.trees.tree import Branch, Field, Tree
from tests.models.tiny import VOCABULARY, tiny
from tests.models_on_disk import SMALL


def branch(prompt: Sequence[int], target: Sequence[int]) -> Branch:
    ids = np.array([*prompt, *target], np.int32)
    return Branch(ids, np.arange(len(ids)) >= len(prompt))


def single(seed: int, *, weight: float = 1.0) -> Tree:
    """A random prompt with one completion."""
    draw = np.random.default_rng(seed)
    prompt, target = (draw.integers(3, VOCABULARY, draw.integers(2, 9)) for _ in range(2))
    return Tree.of([branch(prompt, target)], weight=weight)


def pair(seed: int, *, weight: float = 1.0) -> Tree:
    """A random prompt with a chosen and a rejected completion."""
    draw = np.random.default_rng(seed)
    prompt, *targets = (draw.integers(3, VOCABULARY, draw.integers(2, 9)) for _ in range(3))
    index = {"chosen": Field([0], index="completion"), "rejected": Field([1], index="completion")}
    return Tree.of([branch(prompt, target) for target in targets], **index, weight=weight)


def small(seed: int = 0, **changes: Any) -> Any:
    return tiny("llama", seed=seed, **SMALL | changes)


def lora(model: Any, rank: int = 2) -> Any:
    """The model with an adapter that already does something."""
    from espalier.adapters.lora import LoRA

    torch.manual_seed(0)
    wrapped = LoRA(rank=rank).attach(model)
    with torch.no_grad():
        for name, parameter in wrapped.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    return wrapped


def policy_of(model: Any, max_tokens: int | None = None) -> Role:
    return Role(Engine(model), max_tokens=max_tokens)


def models_of(objective: Any, model: Any, *, fresh: bool = False, cached: bool = False) -> Models:
    return assemble(objective, policy_of(model), fresh_adapter=fresh, cached=cached)


def here(number: int = 0) -> Here:
    return Here(number, torch.Generator().manual_seed(number))


def prepared(objective: Any, models: Any, trees: Sequence[Tree]) -> Forest:
    with torch.no_grad():
        return objective.prepare(trees, models, here())


def gradient(model: Any) -> torch.Tensor:
    """The gradient of all trained weights in one line."""
    return torch.cat([p.grad.reshape(-1) for p in model.parameters() if p.requires_grad and p.grad is not None])


class Kept(torch.optim.SGD):
    """Moves nothing and keeps the last gradient."""

    def __init__(self, model: Any) -> None:
        super().__init__([p for p in model.parameters() if p.requires_grad], lr=0.0)
        self.gradient = torch.empty(0)

    def step(self, closure: Any = None) -> None:
        self.gradient = torch.cat([p.grad.reshape(-1) for group in self.param_groups for p in group["params"]])


@dataclass(frozen=True)
class TwoTerms(Objective):
    """A mean over tokens, and half of a mean over examples: two denominators."""

    def prepare(self, trees: Sequence[Tree], models: Any, step: Any) -> Forest:
        forest = super().prepare(trees, models, step)
        forest.count("tokens", per_example(forest, torch.ones(forest.size("token"), dtype=torch.double)))
        forest.count("examples", torch.ones(forest.examples))
        return forest

    def loss(self, models: Any, piece: Forest) -> Loss:
        logps = models.policy.token_logps(piece)
        whole = piece.sum_tokens(logps)
        terms = {"tokens": Term(-logps.sum()), "examples": Term(whole.square().sum(), 0.5)}
        return Loss(terms, {"length": piece.lengths.double()})


@dataclass(frozen=True)
class Rollouts(TwoTerms):
    """Three passes over two minibatches of each prepared batch, as PPO has them."""

    passes: ClassVar[int] = 3
    minibatches: ClassVar[int] = 2


def job_of(folder: Path, objective: Any, model: Any, trees: Sequence[Tree], **more: Any) -> Job:
    """A job over these examples: SGD, one example in five held back."""
    with StoreWriter(folder / "rows") as writer:
        for tree in trees:
            writer.add(tree)
    store = Store(folder / "rows")
    cached = more.pop("cached", False)
    fresh = more.pop("fresh", False)
    models = models_of(objective, model, fresh=fresh, cached=cached)
    rate = more.pop("learning_rate", 0.1)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=rate)
    held = list(range(0, len(trees), 5)) if more.pop("hold", False) else []
    order = Order(np.setdiff1d(np.arange(len(trees)), held), more.pop("batch_size", 4), 0)
    settings: dict[str, Any] = {
        "steps": 4, "warmup": 0.0, "schedule": "constant", "max_norm": 0.0, "seed": 0, "tokens_per_piece": None,
        "eval_every": 2, "save_every": 100,
    }  # fmt: skip
    if cached:
        settings["cache"] = ReferenceCache(folder / "reference.sqlite", weights_key(model))
    return Job(objective, models, optimizer, store, order, held, learning_rate=rate, **settings | more)
