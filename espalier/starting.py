"""Where a run starts: what is decided by looking at the machine, the weights, the layout, the adapter."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import nn

from espalier import seeding
from espalier.catalogue import address_of, build
from espalier.contracts import Adapter, Frozen, Scalar
from espalier.errors import RecipeError
from espalier.estimating import layers_again
from espalier.models.checkpointing import checkpoint
from espalier.models.heads import is_scalar, with_scalar_head
from espalier.models.load import set_dropout
from espalier.models.precision import decide
from espalier.models.roles import Models, Role, assemble, declared
from espalier.models.virtual import has_virtual_tokens
from espalier.opening import (
    PIECE,
    Decisions,
    choose_device,
    count_parameters,
    open_weights,
    physical_cores,
    prepare_machine,
)
from espalier.planning import Plan
from espalier.record import Recorder
from espalier.train import distributed
from espalier.train.reference import weights_key
from espalier.trees.engine import Engine
from espalier.trees.probe import choose_layout


@dataclass
class Start:
    """The model a run starts from.

    `decisions` are the run's, and `key` names the weights in the reference cache; it is empty where nothing is cached.
    """

    plan: Plan
    tell: Recorder
    decisions: Decisions
    key: str = ""

    @classmethod
    def of(cls, plan: Plan, tell: Recorder, past: dict[str, Any] | None) -> Start:
        """Decide by looking at the machine; a resumed run reads back what was decided in the past."""
        if past is not None:
            found = Decisions.of(past["decisions"])
            choose_device(found.device)
            return cls(plan, tell, found)
        options = plan.options
        device = choose_device(options.device)
        parameters = count_parameters(plan.place.model)
        precision = distributed.agreed(decide(options.dtype, device, parameters))
        threads = options.threads or max(1, physical_cores() // distributed.world_size())
        every, why = options.checkpoint_layers or int(options.activation_checkpointing), ""
        if not every:
            every, why = distributed.agreed(layers_again(plan, device, parameters))
        if why:
            tell.note(why)
        budget = options.tokens_per_piece or PIECE[device]
        return cls(plan, tell, Decisions(device, threads, precision, "", "", budget, every))

    def models(self) -> Models:
        """The policy, ready to be trained, and the roles the objective declares."""
        plan = self.plan
        prepare_machine(self.decisions.precision, self.decisions.threads)
        model = self.open()
        fresh = self.adapter is not None and self.adapter.starts_at_base
        if fresh or self.adapter is None:
            self._probe(model)
            model = self._attach(self._headed(model))
        else:  # what it starts at is another model, with other log-probabilities
            model = self._attach(self._headed(model))
            self._probe(model)
        set_dropout(model, on=plan.objective.dropout)
        if self.decisions.checkpoint_layers:
            checkpoint(model, self.decisions.checkpoint_layers)
        base = plan.place.adapter or plan.place.model
        models = assemble(plan.objective, self._role(model), fresh_adapter=fresh, cached=bool(self.key), base=base)
        distributed.spread(models, plan.options.strategy)
        return models

    @cached_property
    def adapter(self) -> Adapter | None:
        """The adapter of the recipe."""
        return build(self.plan.recipe.adapter) if self.plan.recipe.adapter is not None else None

    def again(self) -> Role:
        """The policy as it was at step 0, its weights read again."""
        model = self.open()
        if self.adapter is not None and not self.adapter.starts_at_base:
            model = self._attach(model)
        return self._role(model.requires_grad_(False))

    def open(self) -> nn.Module:
        """The weights the run starts from."""
        place, recipe = self.plan.place, self.plan.recipe
        if place.adapter is not None and recipe.adapter is not None:
            raise RecipeError(
                f"{place.adapter} already is an adapter, and is trained on. Leave the adapter out, or merge it first."
            )
        trains_all = place.adapter is None and recipe.adapter is None
        if trains_all and self.plan.options.quantize:
            raise RecipeError("quantize needs an adapter: weights in few bits cannot be trained. Add --adapter lora.")
        model = open_weights(
            place, self.decisions.precision, self.decisions.device,
            trains_all=trains_all, quantize=self.plan.options.quantize, trainable=True,
        )  # fmt: skip
        for layer in model.modules():  # bitsandbytes packs weights when it answers, and then has no gradient
            if hasattr(layer, "support_avx512bf16_for_cpu"):
                setattr(layer, "support_avx512bf16_for_cpu", False)  # noqa: B010
        return model

    def _probe(self, model: nn.Module) -> None:
        """Find the layout that computes this model exactly, and name its weights for the reference cache."""
        if not self.decisions.layout:
            verdict = distributed.agreed(choose_layout(model, max_tokens=self.plan.audit.max_tokens))
            self.decisions = replace(self.decisions, layout=verdict.layout, layout_reason=verdict.reason)
            if verdict.layout != "trees":
                self.tell.note(f"prompts are not shared: {verdict.reason}")
        still = isinstance(declared(self.plan.objective).get("reference"), Frozen)  # what moves cannot be cached
        if still and self.plan.options.reference == "cached":
            self.key = weights_key(model, self.decisions.layout, self.decisions.precision.compute)

    def _headed(self, model: nn.Module) -> nn.Module:
        """The model under the head that the objective asks for."""
        if not isinstance(getattr(self.plan.objective, "policy", None), Scalar):
            return model
        if self.plan.place.adapter is not None:
            raise RecipeError(
                f"{address_of(self.plan.objective)} puts a new head on a whole model, and {self.plan.place.adapter} is "
                "an adapter: merge it into its model first, or start from the model."
            )
        if self.plan.options.quantize:
            raise RecipeError("a scalar head is merged into its model, and few bits would lose it. Leave quantize out.")
        if self.plan.recipe.adapter is not None and self.plan.options.strategy == "fsdp":
            raise RecipeError("a scalar head with an adapter is merged at the end, which needs strategy = ddp.")
        headed: nn.Module = with_scalar_head(model, seed=seeding.derive(self.plan.options.seed, "head"))
        return headed

    def _attach(self, model: nn.Module) -> nn.Module:
        """The adapter of the recipe, or every weight."""
        if self.adapter is None:
            if self.plan.place.adapter is None:
                model.requires_grad_(True)
            return model
        torch.manual_seed(seeding.derive(self.plan.options.seed, "adapter"))
        attached = self.adapter.attach(model)
        merges = hasattr(attached, "peft_config") and not has_virtual_tokens(attached)
        if is_scalar(attached) and not merges:
            raise RecipeError(
                f"{address_of(self.adapter)} cannot be merged into a model, as a scalar head asks for. Give another "
                "adapter, for example lora."
            )
        if self.plan.options.strategy == "fsdp" and type(self.adapter).shares is False:
            raise RecipeError(f"{address_of(self.adapter)} needs strategy = ddp: it looks at whole weights.")
        return attached

    def _role(self, model: nn.Module) -> Role:
        place, decided = self.plan.place, self.decisions
        layout: Any = decided.layout
        engine = Engine(model.eval(), layout=layout, autocast=decided.precision.autocast)
        describe = place.model if place.adapter is None else f"{place.model} with the adapter {place.adapter}"
        return Role(engine, max_tokens=decided.tokens_per_piece, describe=describe)
