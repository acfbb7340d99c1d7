"""Roles: the policy and the models beside it, as objectives see them."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from espalier import contracts
from espalier.errors import RecipeError
from espalier.models.heads import base_of
from espalier.models.load import context_length
from espalier.models.virtual import virtual_tokens
from espalier.trees.engine import Engine, States
from espalier.trees.forest import Forest
from espalier.trees.logps import Contextual, Functional

Kind = contracts.Frozen | contracts.Ema | contracts.Copy
Context = Callable[[], contextlib.AbstractContextManager[Any]]
Mirror = Callable[[], list[tuple[Tensor, Tensor]]]
Functionals = Mapping[str, Functional | Contextual]


class Role:
    """A model that answers forests. Where nothing has a gradient a forest may be large: it is cut here.

    Args:
        engine: the engine, or what DDP or FSDP2 wrapped around it.
        max_tokens: tokens computed at once without a gradient.
        context: entered around each forward, for instance to switch an adapter off.
        describe: one line for the log: "the base model, adapter off".
        mirror: pairs of the policy's parameters and this role's copies of them, as they are when asked for.
        transient: the policy itself, which stands for the role only until it is trained.
    """

    def __init__(
        self,
        engine: nn.Module,
        *,
        max_tokens: int | None = None,
        context: Context | None = None,
        describe: str = "",
        mirror: Mirror = list,
        transient: bool = False,
    ) -> None:
        self.engine = engine
        self.max_tokens = max_tokens
        self.context = context or contextlib.nullcontext
        self.describe = describe
        self.mirror = mirror
        self.transient = transient
        self.kind: Kind | None = None
        self.most: Callable[[int], int] = int  # pieces over all ranks, where every rank must compute as many

    @property
    def inner(self) -> Engine:
        """The engine itself."""
        found = getattr(self.engine, "module", self.engine)
        assert isinstance(found, Engine)
        return found

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.inner.device

    @property
    def longest(self) -> int | None:
        """Tokens of the longest row the model was made for; None where there is no limit."""
        model, context = self.inner.model, context_length(base_of(self.inner.model).config)
        return context and context - virtual_tokens(model)

    def answers(
        self,
        forest: Forest,
        functionals: Functionals | None = None,
        states: States | None = None,
    ) -> dict[str, Tensor]:
        """What `Engine.forward` answers, in forest order.

        Without a gradient DDP is left aside: its ranks compute unlike numbers of pieces, and exchange at each one.
        """
        with self.context():
            if torch.is_grad_enabled():
                return dict(self.engine(forest, functionals=functionals, states=states))
            return self._in_pieces(forest, functionals, states)

    def token_logps(self, forest: Forest) -> Tensor:
        """log p of each counted token of each completion, in nats. [tokens]"""
        return self.answers(forest)["logps"]

    def completion_logps(self, forest: Forest) -> Tensor:
        """The same, summed over each completion. [completions]"""
        return forest.sum_tokens(self.token_logps(forest))

    def scores(self, forest: Forest) -> Tensor:
        """What the scalar head gives at each completion's last token. [completions]"""
        return self.answers(forest, states="scores")["scores"]

    def follow(self, mix: float) -> None:
        """copy <- (1 - mix) * copy + mix * policy."""
        with torch.no_grad():
            for source, twin in self.mirror():
                twin.lerp_(source.to(twin.dtype), mix)

    def _in_pieces(self, forest: Forest, functionals: Functionals | None, states: States | None) -> dict[str, Tensor]:
        groups = forest.pieces(self.max_tokens, shared=self.inner.layout == "trees")
        groups += [[]] * (self.most(len(groups)) - len(groups))
        level: Literal["completion", "token"] = "token" if states in (None, "before") else "completion"
        owner = forest.owner(level)
        whole: dict[str, Tensor] = {}
        for group in groups:
            rows = torch.isin(owner, torch.tensor(group, dtype=torch.long, device=owner.device))
            for name, values in self.inner(forest.select(group), functionals=functionals, states=states).items():
                whole.setdefault(name, values.new_zeros(len(owner), *values.shape[1:]))[rows] = values
        return whole


class Models:
    """The policy, and the roles an objective declared, by name."""

    def __init__(self, policy: Role, **roles: Role) -> None:
        self.policy = policy
        self.roles = {"policy": policy, **roles}

    def __getattr__(self, name: str) -> Role:
        roles: dict[str, Role] = self.__dict__.get("roles", {})
        if name in roles:
            return roles[name]
        raise AttributeError(f"no role named {name!r}; declared: {', '.join(roles)}")

    def forget_transient(self) -> None:
        """Take away the roles that the policy stood for, before it moves."""
        self.roles = {name: role for name, role in self.roles.items() if not role.transient}

    def after_step(self, number: int) -> None:
        """Move the copies that follow the policy."""
        for role in self.roles.values():
            kind = role.kind
            if isinstance(kind, contracts.Ema):
                role.follow(kind.rate)
            elif isinstance(kind, contracts.Copy) and (number + 1) % kind.every == 0:
                role.follow(kind.mix)


def declared(objective: object) -> dict[str, Kind]:
    """The roles an objective declares as class attributes."""
    names = {name for cls in type(objective).__mro__ for name in vars(cls)}
    return {name: kind for name in sorted(names) if isinstance(kind := getattr(objective, name), Kind)}


def assemble(
    objective: object, policy: Role, *, fresh_adapter: bool, cached: bool = False, base: str = "the model"
) -> Models:
    """The policy with the roles an objective declares beside it, made from the policy as it is now.

    Args:
        objective: what declares roles as class attributes.
        policy: the role that is about to be trained.
        fresh_adapter: whether its adapter was attached in this run and changes nothing yet.
        cached: what frozen roles answer is computed before the first step and kept; they need no copy of weights then.
        base: what the policy started from, for the log.
    """
    roles = {}
    for name, kind in declared(objective).items():
        still = isinstance(kind, contracts.Frozen)
        if cached and isinstance(kind, contracts.Frozen) and not kind.live and not fresh_adapter:
            describe = f"{base}, as it is before the first step"
            roles[name] = Role(policy.engine, max_tokens=policy.max_tokens, describe=describe, transient=True)
        else:
            roles[name] = frozen(policy, name, fresh_adapter=fresh_adapter and still, base=base)
        roles[name].kind = kind
    return Models(policy, **roles)


def frozen(policy: Role, name: str, *, fresh_adapter: bool, base: str) -> Role:
    """The policy as it is now: its adapter off where that was attached in this run, else a copy of what is trained."""
    model: Any = policy.inner.model
    if fresh_adapter and hasattr(model, "disable_adapter"):
        describe = f"{base}, with the adapter of this run switched off"
        return Role(policy.engine, max_tokens=policy.max_tokens, context=model.disable_adapter, describe=describe)
    if hasattr(model, "peft_config"):
        return _adapter_copy(policy, name, base)
    engine = copy.deepcopy(policy.inner).requires_grad_(False)

    def mirror() -> list[tuple[Tensor, Tensor]]:
        return list(zip(policy.inner.parameters(), engine.parameters(), strict=True))

    return Role(engine, max_tokens=policy.max_tokens, describe=f"{base}, a frozen copy", mirror=mirror)


def _adapter_copy(policy: Role, name: str, base: str) -> Role:
    """The adapter the policy starts from, copied beside it under the role's name: kilobytes, not a second model."""
    model: Any = policy.inner.model
    active = model.active_adapter
    if name in model.peft_config:
        raise RecipeError(f"this model already has an adapter named {name!r}; rename it.")
    trained = [key for key, p in model.named_parameters() if p.requires_grad]
    config = copy.deepcopy(model.peft_config[active])
    config.inference_mode = config.inference_mode or hasattr(config, "target_r")  # AdaLoRA trains one at a time
    model.add_adapter(name, config)
    wanted = set(trained)

    def mirror() -> list[tuple[Tensor, Tensor]]:
        parameters = dict(model.named_parameters())
        twins = [".".join(name if part == active else part for part in key.split(".")) for key in trained]
        return [(parameters[key], parameters[twin]) for key, twin in zip(trained, twins, strict=True)]

    def use(adapter: str) -> None:
        model.set_adapter(adapter)
        for key, parameter in model.named_parameters():
            parameter.requires_grad_(key in wanted)

    @contextlib.contextmanager
    def switched() -> Iterator[None]:
        use(name)
        try:
            yield
        finally:
            use(active)

    for source, twin in mirror():
        twin.data.copy_(source.data)
    use(active)
    describe = f"{base} with its adapter, frozen"
    return Role(policy.engine, max_tokens=policy.max_tokens, context=switched, describe=describe, mirror=mirror)
