"""How likely a model finds the targets of cases: through the engine, or through a client."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from espalier.contracts import LM
from espalier.errors import ModelError
from espalier.evaluation.cases import Case
from espalier.lm.generate import evaluating
from espalier.messages import text_of
from espalier.models.roles import Role
from espalier.render import Rendered, Renderer
from espalier.trees.forest import Forest
from espalier.trees.tree import Tree

TOKENS = 8192  # tokens computed at once where the role does not say


@dataclass(frozen=True)
class Likelihood:
    """log p of one target, in nats, end token included."""

    logp: float
    tokens: int | None  # None where a client does not say
    size: int  # UTF-8 bytes of the text that counts


def by_engine(
    role: Role, cases: Sequence[Sequence[Rendered]], renderer: Renderer, done: Callable[[int], None]
) -> list[list[Likelihood]]:
    """One likelihood per path of each case, in pieces of the role's token budget; `done` hears how many more."""
    found: list[list[Likelihood]] = []
    for part in _parts(cases, role):
        forest = Forest.plant([Tree.of(paths) for paths in part], device=role.device)
        with evaluating(role.inner.model):
            sums = forest.sum_tokens(role.token_logps(forest).double()).tolist()
        logps = iter(sums)
        for paths in part:
            found.append([_of(path, next(logps), renderer) for path in paths])
        done(len(part))
    return found


def by_client(lm: LM, cases: Sequence[Case], done: Callable[[int], None]) -> list[list[Likelihood]]:
    """The same for options and pairs, from any language model that has log-probabilities."""
    found: list[list[Likelihood]] = []
    for case in cases:
        targets = [t if isinstance(t, str) else text_of(t[-1]) for t in case.targets]
        logps = lm.logprobs(case.prompt or "", targets)
        found.append([Likelihood(p, None, len(t.encode())) for p, t in zip(logps, targets, strict=True)])
        done(1)
    return found


def _of(path: Rendered, logp: float, renderer: Renderer) -> Likelihood:
    if not math.isfinite(logp):
        raise ModelError("the model's log-probabilities are not finite; look for broken weights, or use float32.")
    mask = path.mask.copy()
    mask[0] = False
    return Likelihood(logp, int(mask.sum()), len(renderer.decode(path.ids[mask]).encode()))


def _parts(cases: Sequence[Sequence[Rendered]], role: Role) -> Iterator[list[Sequence[Rendered]]]:
    """Cases within the token budget, in order; a padded batch costs its longest path for each."""
    budget, padded = role.max_tokens or TOKENS, role.inner.layout == "rows"
    part: list[Sequence[Rendered]] = []
    lengths: list[int] = []
    for paths in cases:
        grown = lengths + [len(path.ids) for path in paths]
        if part and (max(grown) * len(grown) if padded else sum(grown)) > budget:
            yield part
            part, grown = [], grown[len(lengths) :]
        part.append(paths)
        lengths = grown
    if part:
        yield part
