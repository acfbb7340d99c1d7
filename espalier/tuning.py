"""Training as a user means it: audit, rehearse, train, measure, hand over. The command line and Python both call `train`."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from espalier import seeding
from espalier.catalogue import build
from espalier.errors import RecipeError, RunError
from espalier.evaluation.measure import Measurement
from espalier.evaluation.report import write_report
from espalier.models.heads import base_of
from espalier.models.load import set_dropout
from espalier.models.precision import decide
from espalier.models.roles import Models, Role, assemble, declared
from espalier.opening import (
    PIECE,
    Decisions,
    choose_device,
    count_parameters,
    open_weights,
    physical_cores,
    prepare_machine,
)
from espalier.planning import Plan, cache_folder, check, plan_run
from espalier.recipe import Recipe, dump, spelled_out
from espalier.run import Run, machine, resume_command, versions, write_text
from espalier.train import checkpoints, distributed
from espalier.train.loop import Event, Here, Job, fit
from espalier.train.reference import ReferenceCache, weights_key
from espalier.train.rehearsal import Rehearsal, rehearse
from espalier.train.store import Order
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from espalier.trees.probe import choose_layout

__all__ = ["check", "train"]

Listen = Callable[[Event], None]
Stop = Callable[[], bool]


def train(
    recipe: Recipe, *, resume: bool = False, listen: Listen = lambda event: None, stop: Stop = lambda: False
) -> Run:
    """Train, measure and hand over; the run's folder holds everything.

    Args:
        recipe: what to do; with `resume` only its `out` is read.
        resume: go on with the run in `recipe.out`.
        listen: is told every event as it happens.
        stop: asked after each step; True finishes with a checkpoint and a report.

    Raises:
        EspalierError: the recipe, the data, the model or the run cannot be; nothing half-written is left.
    """
    run = Run.open(recipe.out) if resume else Run(Path(recipe.out))
    if not resume and run.folder.exists() and any(run.folder.iterdir()):
        raise RunError(f"{run.folder} is not empty. Choose another --out, or go on with --resume --out {run.folder}.")
    if resume and run.state == "finished":
        raise RunError(f"{run.folder}: this run is finished; its result is {run.result}.")
    plan = plan_run(run.recipe if resume else recipe)
    plan.audit.refuse(accept_dropped=plan.options.accept_dropped)
    with distributed.ranks(choose_device(plan.options.device)), _Recorder(run, listen) as tell:
        tell(Event("audit", 0, {"audit": plan.audit}), keep=False)
        course = _Course(plan, run, tell, resume)
        course.begin()
        return course.go(stop)


class _Recorder:
    """Writes every event to metrics.jsonl, passes it on, and makes sure a failed start leaves nothing behind."""

    def __init__(self, run: Run, listen: Listen) -> None:
        self.run, self.listen = run, listen
        self.keep = (run.folder / "run.json").exists()

    def __enter__(self) -> _Recorder:
        return self

    def __call__(self, event: Event, *, keep: bool = True) -> None:
        if distributed.rank() != 0:
            return
        self.keep |= event.kind == "step"
        if keep and self.run.folder.exists():
            with (self.run.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"kind": event.kind, "step": event.step, **event.values}, default=str) + "\n")
        self.listen(event)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not self.keep and distributed.rank() == 0:
            shutil.rmtree(self.run.folder, ignore_errors=True)


@dataclass
class _Course:
    """One run from its plan to its result."""

    plan: Plan
    run: Run
    tell: _Recorder
    resume: bool
    begun: float = field(default_factory=time.time)
    fresh_adapter: bool = False

    def begin(self) -> None:
        """Open the model, assemble the roles, write the folder, and go to where the run stands."""
        plan = self.plan
        self.decisions = self._decide()
        prepare_machine(self.decisions.precision, self.decisions.threads)
        model = self._open()
        layout, key = self._probe(model)
        model = self._attach(model)
        set_dropout(model, on=plan.objective.dropout)
        if plan.options.activation_checkpointing:
            base_of(model).gradient_checkpointing_enable({"use_reentrant": False})
        model.train()
        engine = Engine(model, layout=layout, autocast=self.decisions.precision.autocast)
        wrapped = distributed.wrap(engine, plan.options.strategy)
        policy = Role(wrapped, max_tokens=self.decisions.tokens_per_piece, describe=self._described())
        self.models = assemble(
            plan.objective, policy, fresh_adapter=self.fresh_adapter, cached=bool(key), base=plan.place.adapter or plan.place.model
        )
        self.job = self._job(key)
        self._write_start()
        for name, role in self.models.roles.items():
            if name != "policy":
                how = ", computed once and kept" if self.job.cache else ""
                self.tell(Event("note", 0, {"text": f"{name} = {role.describe}{how}"}))

    def _decide(self) -> Decisions:
        """What is decided by looking at the machine; a resumed run reads it back."""
        options, place = self.plan.options, self.plan.place
        if self.resume:
            return Decisions.of(self.run.info()["decisions"])
        device = choose_device(options.device)
        precision = decide(options.dtype, device, count_parameters(place.model))
        threads = options.threads or max(1, physical_cores() // distributed.world_size())
        return Decisions(device, threads, precision, "", "", options.tokens_per_piece or PIECE[device])

    def _open(self) -> nn.Module:
        """The weights the run starts from."""
        place, recipe = self.plan.place, self.plan.recipe
        if place.adapter is not None and recipe.adapter is not None:
            raise RecipeError(f"{place.adapter} already is an adapter, and is trained on. Leave the adapter out, or export it merged first.")
        trains_all = place.adapter is None and recipe.adapter is None
        if trains_all and self.plan.options.quantize:
            raise RecipeError("quantize needs an adapter: 4-bit weights cannot be trained. Add --adapter lora.")
        return open_weights(
            place, self.decisions.precision, self.decisions.device,
            trains_all=trains_all, quantize=self.plan.options.quantize, trainable=True,
        )  # fmt: skip

    def _probe(self, model: nn.Module) -> tuple[Any, str]:
        """The layout that computes this model exactly, and a key of its weights for the reference cache."""
        if not self.decisions.layout:
            verdict = choose_layout(model)
            self.decisions = replace(self.decisions, layout=verdict.layout, layout_reason=verdict.reason)
            if verdict.layout != "trees":
                self.tell(Event("note", 0, {"text": f"prompts are not shared: {verdict.reason}"}))
        if "reference" not in declared(self.plan.objective) or self.plan.options.reference != "cached":
            return self.decisions.layout, ""
        return self.decisions.layout, weights_key(model, self.decisions.layout, self.decisions.precision.compute)

    def _attach(self, model: nn.Module) -> nn.Module:
        """The adapter of the recipe, or every weight."""
        recipe = self.plan.recipe
        if recipe.adapter is None:
            if self.plan.place.adapter is None:
                model.requires_grad_(True)
            return model
        torch.manual_seed(seeding.derive(self.plan.options.seed, "adapter"))
        self.fresh_adapter = True
        attached: nn.Module = build(recipe.adapter).attach(model)
        return attached

    def _described(self) -> str:
        place = self.plan.place
        return place.model if place.adapter is None else f"{place.model} with the adapter {place.adapter}"

    def _job(self, key: str) -> Job:
        plan, options = self.plan, self.plan.options
        rate, batch_size, warmup = options.learning_rate or 0.0, options.batch_size or 1, options.warmup or 0.0
        trained = [p for p in self.models.policy.engine.parameters() if p.requires_grad]
        optimizer = build(plan.recipe.optimizer).build([{"params": trained, "lr": rate}])
        tenth = max(1, plan.steps // 10)
        return Job(
            plan.objective, self.models, optimizer, plan.store, Order(plan.numbers, batch_size, options.seed), plan.held,
            plan.steps, rate, warmup, options.schedule, options.max_norm, options.seed, self.decisions.tokens_per_piece,
            options.eval_every or tenth, options.save_every or tenth,
            cache=ReferenceCache(cache_folder() / "reference.sqlite", key) if key else None, save=self._save,
        )  # fmt: skip

    def _write_start(self) -> None:
        """The run's folder as it stands before the first step."""
        if self.resume or distributed.rank() != 0:
            return
        self.run.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.run.folder / "recipe.toml", dump(spelled_out(replace(self.plan.recipe, out=str(self.run.folder)))))
        self.run.write("audit.json", self.plan.audit.__dict__)
        self._state("running")

    def _state(self, state: str) -> None:
        if distributed.rank() != 0:
            return
        before = self.run.info() if (self.run.folder / "run.json").exists() else {"seconds": 0.0}
        roles = {name: role.describe for name, role in self.models.roles.items()}
        self.run.write("run.json", {
            "state": state, "steps": self.plan.steps, "roles": roles, "decisions": self.decisions.table(),
            "versions": versions(), "machine": machine(), "ranks": distributed.world_size(),
            "started": before.get("started", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.begun))),
            "seconds": round(time.time() - self.begun + (before["seconds"] if self.resume else 0.0), 1),
        })  # fmt: skip

    def go(self, stop: Stop) -> Run:
        """Reference, measurement before, training, result, measurement after, report."""
        job, run = self.job, self.run
        self._reference()
        measured = self._measurement()
        measured.before(self.models.policy)
        self._rehearse()
        start = 0
        saved = checkpoints.found(run.checkpoints) if self.resume else []
        if saved:
            state = checkpoints.load(saved[-1], self.models.policy.inner.model, job.optimizer)
            start, job.best = state["step"], state["best"]
            run.forget_after(start)
        done = fit(job, start=start, listen=self.tell, stop=stop)
        finished = done == job.steps
        if finished:
            self._result()
            measured.after(self.models.policy, self._start_again())
        self._state("finished" if finished else "interrupted")
        if distributed.rank() == 0:
            write_report(run.folder)
        command = "" if finished else resume_command(run)
        values = {"folder": str(run.folder), "result": str(run.result), "state": run.state, "seconds": run.info()["seconds"]}
        self.tell(Event("end", done, values | {"resume": command}), keep=False)
        return run

    def _measurement(self) -> Measurement:
        def progress(what: str, done: int, total: int) -> None:
            self.tell(Event("evaluating", 0, {"text": what, "done": done, "total": total}), keep=False)

        rows = [self.plan.store.row(n) for n in self.plan.held] if distributed.world_size() == 1 else []
        return Measurement(self.run, rows, self.plan.renderer, self.plan.options.seed, progress)

    def _start_again(self) -> Role | None:
        """The policy as it was at step 0, for pairs: the objective's reference, or the weights read again."""
        if "reference" in self.models.roles:
            return self.models.reference
        if "reference" not in declared(self.plan.objective):
            return None
        model = self._open().requires_grad_(False)
        policy = self.models.policy
        engine = Engine(model, layout=policy.inner.layout, autocast=policy.inner.autocast)
        return Role(engine, max_tokens=policy.max_tokens, describe=self._described())

    def _here(self) -> Here:
        return Here(-1, seeding.generator(self.plan.options.seed, "rehearsal"), self.job.cache)

    def _reference(self) -> None:
        """Compute what the cache does not hold yet, for every example the run will see."""
        job = self.job
        if job.cache is None:
            return
        seen = sorted({n for step in range(job.steps) for n in job.order.batch(step)} | set(job.held))
        missing = [n for n in seen if job.cache.get(job.store[n]) is None]
        mine = missing[distributed.rank() :: distributed.world_size()]
        for at in range(0, len(mine), 64):
            trees = [job.store[n] for n in mine[at : at + 64]]
            self._here().reference_logps(Forest.plant(trees, device=self.models.policy.device), self.models)
            values = {"done": len(seen) - len(missing) + min(at + 64, len(mine)), "total": len(seen)}
            self.tell(Event("reference", 0, values | {"text": "log-probabilities of the reference"}), keep=False)
        distributed.barrier()
        self.models.forget_transient()

    def _rehearse(self) -> None:
        job = self.job
        if getattr(job.optimizer, "fused", False) is True or distributed.world_size() > 1:
            return  # a fused optimizer would update; ranks would have to agree
        torch.manual_seed(seeding.derive(job.seed, "rehearsal"))
        found = rehearse(job.objective, job.models, job.store, job.order.numbers.tolist(), self._here(), job.tokens_per_piece or 1024)
        if found.note:
            job.tokens_per_piece = found.tokens_per_piece
            self.decisions = replace(self.decisions, tokens_per_piece=found.tokens_per_piece)
            self._state("running")
            self.tell(Event("note", 0, {"text": found.note}))
        self.tell(Event("estimate", 0, self._estimate(found)))

    def _estimate(self, found: Rehearsal) -> dict[str, Any]:
        """Memory at the peak and time for all steps, from the longest piece."""
        job = self.job
        trained = sum(p.numel() * p.element_size() for group in job.optimizer.param_groups for p in group["params"])
        sample = job.order.numbers[:2000].tolist()
        per_example = sum(job.store.tokens(n) for n in sample) / len(sample) / self.plan.audit.shared
        tokens = per_example * job.order.batch_size * job.steps
        return {
            "steps": job.steps,
            "examples": len(job.order.numbers),
            "tokens": round(tokens),
            "seconds": tokens * found.seconds / max(1, found.tokens),
            "memory_gb": (found.memory + 2 * trained) / 2**30,
            "tokens_per_second": found.tokens / found.seconds,
            "trained": sum(p.numel() for group in job.optimizer.param_groups for p in group["params"]),
            "parameters": sum(p.numel() for p in self.models.policy.inner.parameters()),
        }

    def _save(self, step: int, best: bool) -> None:
        """A checkpoint, and apart from it the best weights so far."""
        model = self.models.policy.inner.model
        if best:
            weights = checkpoints.whole(model)
            if distributed.rank() == 0:
                checkpoints.write(self.run.checkpoints, "best", {"weights.safetensors": weights, "step.json": step})
        checkpoints.save(self.run.checkpoints, step, model, self.job.optimizer, {"best": self.job.best})
        self.tell(Event("save", step, {"path": str(self.run.checkpoints / f"step-{step:06d}")}))

    def _result(self) -> None:
        """The best weights, in PEFT's or Hugging Face's own format, with tokenizer and template."""
        model: Any = self.models.policy.inner.model
        checkpoints.load_weights(self.run.checkpoints / "best" / "weights.safetensors", model)
        weights = checkpoints.whole(model)
        if distributed.rank() != 0:
            return
        name = "adapter" if hasattr(model, "peft_config") else "model"
        handover(model, weights, self.plan.renderer, self.run.folder / name, base=self.plan.place.model)


def handover(model: Any, weights: dict[str, torch.Tensor], renderer: Any, folder: Path, *, base: str) -> None:
    """Save an adapter (PEFT's format) or a model (Hugging Face's) with its tokenizer, whole or not at all.

    Args:
        model: what was trained, in PEFT's wrapper where it is an adapter.
        weights: the trained weights, whole, by name.
        renderer: whose tokenizer, template and end-of-turn tokens go along.
        folder: where to.
        base: the folder or id of an adapter's base model.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    if hasattr(model, "peft_config"):
        config = model.peft_config[model.active_adapter]
        config.base_model_name_or_path = str(Path(base).resolve()) if Path(base).exists() else base
        model.save_pretrained(partial, selected_adapters=[model.active_adapter], save_embedding_layers=False)
    else:
        if model.generation_config is not None and renderer.stop_ids:
            model.generation_config.eos_token_id = list(renderer.stop_ids)
        state = {**model.state_dict(), **weights}
        model.save_pretrained(partial, state_dict=state)
        set_attention(partial)
    renderer.tokenizer.save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def set_attention(folder: Path) -> None:
    """The saved config must not name our attention, which only exists here."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config.pop("_attn_implementation", None)
    write_text(file, json.dumps(config, indent=2) + "\n")
