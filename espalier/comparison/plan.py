"""The plan of a comparison: every candidate's run, each on the same rows and with as many policy tokens.

Policy tokens are those the trained model computes, prompts included and a shared prompt once: what a step costs. They
are counted step by step before anything is trained, so that each learning rate falls to its end where the run ends.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, count, islice
from pathlib import Path
from typing import Any

from espalier.audit import Audit
from espalier.catalogue import address_of, build
from espalier.comparison.candidates import Candidate
from espalier.comparison.shared import Shared, View, for_imitation
from espalier.contracts import Scalar
from espalier.errors import EspalierError, RecipeError, RowError
from espalier.evaluation.wording import listed
from espalier.mixture import mix
from espalier.planning import plan_run
from espalier.recipe import Recipe
from espalier.train.store import Order, Store
from espalier.trees.tree import grow

MOST_PASSES = 3  # over the rows, beyond which a candidate is warned of


@dataclass(frozen=True)
class Planned:
    """One run: a candidate with one seed, and what it will take."""

    name: str
    candidate: str
    seed: int
    recipe: Recipe
    steps: int
    passes: float
    tokens: int


@dataclass(frozen=True)
class Agenda:
    """A comparison before anything is trained.

    Attributes:
        runs: what is to be trained, all candidates with the first seed, then all with the next.
        names: the candidates' names, as they were given.
        marked: why a candidate cannot take part, by name.
        budget: policy tokens of each run.
        shared: the rows.
        audit: of these rows, as the first candidate sees them.
        warnings: sentences.
    """

    runs: tuple[Planned, ...]
    names: tuple[str, ...]
    marked: Mapping[str, str]
    budget: int
    shared: Shared
    audit: Audit
    warnings: tuple[str, ...] = ()


@dataclass
class _Ready:
    """A candidate that takes part."""

    candidate: Candidate
    recipe: Recipe
    view: View
    shared: Shared | None = None
    counted: dict[tuple[Any, ...], list[int]] = field(default_factory=dict)  # shared by all: tokens of each step

    @property
    def batch_size(self) -> int:
        return self.view.plan.options.batch_size or 1

    def order(self, seed: int) -> Order:
        """Which rows each step takes."""
        assert self.shared is not None, "rows are shared before they are ordered"
        weights, caps = ([table.get(name) for table in self.shared.sources] for name in ("weight", "cap"))
        numbers = mix(self.shared.numbers(self.view), weights, caps, seed=seed)
        return Order(numbers, self.batch_size, seed, self.view.plan.store.prompts)

    def wanted(self, order: Order) -> int:
        """Steps that its own settings ask for: `epochs` and `max_steps`, or one pass."""
        given = self.recipe.train_options
        steps = max(1, round(order.steps_per_epoch * (given.epochs or 1)))
        return min(steps, given.max_steps or steps)

    def tokens(self, order: Order) -> Iterator[int]:
        """Policy tokens after each step, without an end."""
        store = self.view.plan.store
        known = self.counted.setdefault((store.digest, order.numbers.tobytes(), order.batch_size, order.seed), [])

        def each() -> Iterator[int]:
            for step in count():
                if step == len(known):
                    known.append(step_tokens(store, order.batch(step)))
                yield known[step]

        return accumulate(each())


def step_tokens(store: Store, numbers: Sequence[int]) -> int:
    """Tokens of one optimizer batch, each that several completions share counted once."""
    return sum(len(node.ids) for node in grow([ids for number in numbers for ids in store.ids(number)])[0])


def plan(given: Sequence[tuple[Candidate, Recipe]], out: Path, *, seeds: int = 1, tokens: int | None = None) -> Agenda:
    """Plan every run.

    Args:
        given: the candidates with their recipes.
        out: the folder of the comparison.
        seeds: runs of each candidate; the seeds are its own and those that follow.
        tokens: policy tokens of each run; what the candidate that wants most needs for its epochs, or for one pass.

    Raises:
        EspalierError: a recipe, the model or the rows cannot be; what is wrong with the rows of one candidate alone
            marks that candidate.
    """
    ready, marked = _ready(given)
    shared = Shared.of([one.view for one in ready])
    counted: dict[tuple[Any, ...], list[int]] = {}
    for one in ready:
        one.shared, one.counted = shared, counted
    budget = tokens or max((_own(one)[1] for one in ready if not one.candidate.own_length), default=0)
    runs = [_run(one, out, one.recipe.train_options.seed + n, n, budget) for n in range(seeds) for one in ready]
    names = [run.name for run in runs]
    for name in (name for name in names if names.count(name) > 1):
        raise RecipeError(f"two runs are called {name!r}. Vary the seed, or give --seeds, not both.")
    everyone = tuple(candidate.name for candidate, _ in given)
    return Agenda(tuple(runs), everyone, marked, budget, shared, shared.base.plan.audit, tuple(_warnings(runs, shared)))


def _warnings(runs: Sequence[Planned], shared: Shared) -> Iterator[str]:
    many = {run.candidate: f"{run.passes:.1f} times by {run.candidate}" for run in runs if run.passes > MOST_PASSES}
    if many:
        yield f"each row is seen {listed(list(many.values()), 9)}; give more rows, or less to do: --tokens N"
    if shared.left_out:
        yield f"{shared.left_out:,} rows are left out: not every candidate can use them"


def _ready(given: Sequence[tuple[Candidate, Recipe]]) -> tuple[list[_Ready], dict[str, str]]:
    """The candidates that can take part, and why others cannot."""
    ready: list[_Ready] = []
    marked: dict[str, str] = {}
    for candidate, recipe in given:
        try:
            objective = build(recipe.objective)
            if isinstance(getattr(objective, "policy", None), Scalar):
                raise RowError(f"{address_of(objective)} trains a scorer, which gives no answers to compare")
            found = plan_run(for_imitation(recipe, objective))
            found.audit.refuse(accept_dropped=found.options.accept_dropped)
            ready.append(_Ready(candidate, recipe, View.of(found)))
        except RowError as error:
            marked[candidate.name] = str(error)
        except EspalierError as error:
            raise type(error)(f"{candidate.name}: {error}") from None
    if not ready:
        name, sentence = next(iter(marked.items()))
        raise RowError(f"no candidate can be trained on these rows. {name}: {sentence}")
    return ready, marked


def _own(one: _Ready, seed: int | None = None) -> tuple[int, int]:
    """The steps that a candidate's settings ask for, and their policy tokens."""
    order = one.order(one.recipe.train_options.seed if seed is None else seed)
    steps = one.wanted(order)
    return steps, next(islice(one.tokens(order), steps - 1, None))


def _run(one: _Ready, out: Path, seed: int, number: int, budget: int) -> Planned:
    """The run of a candidate with a seed, as long as the budget says unless it says itself how long."""
    order = one.order(seed)
    steps, tokens = _own(one, seed) if one.candidate.own_length else nearest(one.tokens(order), budget)
    name = one.candidate.name if number == 0 else f"{one.candidate.name}-seed-{seed}"
    recipe = _recipe(one, out, name, seed, steps, math.ceil(steps / order.steps_per_epoch))
    whole, rest = divmod(steps, order.steps_per_epoch)
    passes = whole + rest * order.batch_size / len(order.numbers)
    return Planned(name, one.candidate.name, seed, recipe, steps, passes, tokens)


def nearest(totals: Iterator[int], budget: int) -> tuple[int, int]:
    """The step, from 1, after which a rising total is nearest to a budget, and that total."""
    before = 0
    for step, total in enumerate(totals, 1):
        if total >= budget:
            return (step - 1, before) if before and budget - before <= total - budget else (step, total)
        before = total
    raise ValueError(f"the totals end at {before}, below {budget}")


def _recipe(one: _Ready, out: Path, name: str, seed: int, steps: int, epochs: int) -> Recipe:
    """The recipe of a run, over the rows that all share."""
    assert one.shared is not None, "rows are shared before runs are planned"
    data, held = one.shared.tables(out / "rows", one.view)
    length = {"seed": seed, "max_steps": steps, "epochs": float(epochs), "eval_share": 0.0}
    pinned = {"preset": taken} if (taken := one.view.plan.options.preset) else {}
    rest = {key: value for key, value in one.recipe.train.items() if key not in ("limit", "eval_group")}
    train = {**rest, **pinned, **length}
    return replace(one.recipe, out=str(out / name), data=data, eval_data=held or None, train=train)
