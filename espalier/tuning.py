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
from espalier.models.roles import Role, assemble, declared
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
from espalier.train.disk import is_full
from espalier.train.loop import Event, Here, Job, fit
from espalier.train.reference import ReferenceCache, weights_key
from espalier.train.rehearsal import Rehearsal, rehearse
from espalier.train.store import Order
from espalier.trees.engine import Engine
from espalier.trees.forest import Forest
from espalier.trees.probe import choose_layout

__all__ = ["check", "train"]

START = ("audit.json", "recipe.toml", "run.json")  # written in this order

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
    run = Run.open(recipe.out) if resume else _new(Path(recipe.out))
    if resume and run.state == "finished":
        raise RunError(f"{run.folder}: this run is finished; its result is {run.result}.")
    wanted = run.recipe if resume else recipe
    with distributed.ranks(choose_device(wanted.train_options.device)), _Recorder(run, listen) as tell:
        plan = distributed.first(lambda: plan_run(wanted))
        plan.audit.refuse(accept_dropped=plan.options.accept_dropped)
        tell(Event("audit", 0, {"audit": plan.audit}), keep=False)
        course = _Course(plan, run, tell, resume)
        course.begin()
        return course.go(stop)


def _new(folder: Path) -> Run:
    """A run that does not exist yet, in a folder that is absent or empty."""
    if folder.exists() and not folder.is_dir():
        raise RunError(f"{folder} is a file. Choose another --out.")
    if (folder / "run.json").exists():
        raise RunError(f"{folder} already holds a run. Choose another --out, or go on with it: {resume_command(Run(folder))}")
    there = {path.name for path in folder.iterdir() if path.suffix != ".partial"} if folder.exists() else set()
    if there and not ("audit.json" in there and there <= set(START)):  # a run killed while it was writing these
        raise RunError(f"{folder} is not empty. Choose another --out.")
    checkpoints.mend(folder)
    return Run(folder)


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

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or distributed.rank() != 0:
            return
        if not self.keep:
            shutil.rmtree(self.run.folder, ignore_errors=True)
        if is_full(error):
            remedy = f"go on with: {resume_command(self.run)}" if self.keep else "start again"
            raise RunError(f"the disk is full: {self.run.folder} cannot be written. Free some space, then {remedy}") from error


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
        """Open the model, assemble the roles, and write the folder, or find out where the run stands."""
        plan = self.plan
        self.saved = self._stands() if self.resume else None
        self.decisions = self._decide()
        prepare_machine(self.decisions.precision, self.decisions.threads)
        model = self._open()
        layout, key = self._probe(model)
        model = self._attach(model)
        set_dropout(model, on=plan.objective.dropout)
        if plan.options.activation_checkpointing:
            base_of(model).gradient_checkpointing_enable({"use_reentrant": False})
        engine = Engine(model.eval(), layout=layout, autocast=self.decisions.precision.autocast)
        policy = Role(engine, max_tokens=self.decisions.tokens_per_piece, describe=self._described())
        self.models = assemble(
            plan.objective, policy, fresh_adapter=self.fresh_adapter, cached=bool(key), base=plan.place.adapter or plan.place.model
        )
        distributed.spread(self.models, plan.options.strategy)
        self.job = self._job(key)
        self.about = self._about()
        self._write_start()
        for name, role in self.models.roles.items():
            if name != "policy":
                how = ", computed once and kept" if self.job.cache else ""
                self.tell(Event("note", 0, {"text": f"{name} = {role.describe}{how}"}), keep=not self.resume)

    def _stands(self) -> Path | None:
        """The newest checkpoint of the run; what was written after it is forgotten.

        Raises:
            RunError: the rows are not those the run began with.
        """
        if self.run.info()["rows"] != self.plan.store.digest:
            raise RunError(
                f"{self.run.folder}: the rows are not those this run began with. Put the data back as it was, or start a new run."
            )
        if distributed.rank() == 0:
            checkpoints.mend(self.run.folder)
            checkpoints.mend(self.run.checkpoints)
        saved = distributed.agreed(checkpoints.found(self.run.checkpoints)[-1:])
        if distributed.rank() == 0:
            self.run.forget_after(checkpoints.step_of(saved[0]) if saved else 0)
        return saved[0] if saved else None

    def _decide(self) -> Decisions:
        """What is decided by looking at the machine; a resumed run reads it back."""
        options, place = self.plan.options, self.plan.place
        if self.resume:
            found = Decisions.of(self.run.info()["decisions"])
            choose_device(found.device)
            return found
        device = choose_device(options.device)
        precision = distributed.agreed(decide(options.dtype, device, count_parameters(place.model)))
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
            verdict = distributed.agreed(choose_layout(model))
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
        self.run.write("audit.json", self.plan.audit.__dict__)
        write_text(self.run.folder / "recipe.toml", dump(spelled_out(replace(self.plan.recipe, out=str(self.run.folder)))))
        self._state("running")

    def _about(self) -> dict[str, Any]:
        """What run.json says beside the state."""
        past = self.run.info() if self.resume else {}
        return {
            "steps": self.plan.steps, "roles": {name: role.describe for name, role in self.models.roles.items()},
            "versions": versions(), "machine": machine(), "ranks": distributed.world_size(),
            "rows": self.plan.store.digest, "seconds": past.get("seconds", 0.0),
            "started": past.get("started", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.begun))),
        }  # fmt: skip

    def _state(self, state: str) -> None:
        if distributed.rank() != 0:
            return
        seconds = round(self.about["seconds"] + time.time() - self.begun, 1)
        self.run.write("run.json", {"state": state, **self.about, "decisions": self.decisions.table(), "seconds": seconds})

    def go(self, stop: Stop) -> Run:
        """Reference, measurement before, training, result, measurement after, report."""
        job, run = self.job, self.run
        self._reference()
        measured = self._measurement()
        measured.before(self.models.policy)
        self._rehearse()
        start = 0
        if self.saved is not None:
            state = checkpoints.load(self.saved, self.models, job.optimizer)
            start, job.best = state["step"], state["best"]
        done = fit(job, start=start, listen=self.tell, stop=stop)
        finished = done == job.steps
        if finished:
            self._result()
            measured.after(self.models.policy, self._start_again() if measured.rows else None)
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

    def _seen(self) -> list[int]:
        """The examples this run trains on."""
        job = self.job
        return sorted({n for step in range(job.steps) for n in job.order.batch(step)})

    def _reference(self) -> None:
        """Compute what the cache does not hold yet, for every example the run will see."""
        job = self.job
        if job.cache is None:
            return
        seen = sorted({*self._seen(), *job.held})
        missing = [n for n in seen if job.cache.get(job.store[n]) is None]
        distributed.barrier()  # all ranks have looked before one of them writes: they share the same work out
        mine = missing[distributed.rank() :: distributed.world_size()]
        for at in range(0, distributed.most_over_ranks(len(mine)), 64):
            trees = [job.store[n] for n in mine[at : at + 64]]
            with torch.no_grad():
                logps = self.models.reference.token_logps(Forest.plant(trees, device=self.models.policy.device))
            job.cache.put(trees, logps.split([tree.counted for tree in trees]))
            values = {"done": len(seen) - len(missing) + min(at + 64, len(mine)), "total": len(seen)}
            self.tell(Event("reference", 0, values | {"text": "log-probabilities of the reference"}), keep=False)
        distributed.barrier()
        self.models.forget_transient()

    def _rehearse(self) -> None:
        job = self.job
        if getattr(job.optimizer, "fused", False) is True or distributed.world_size() > 1:
            return  # a fused optimizer would update; ranks would have to agree
        torch.manual_seed(seeding.derive(job.seed, "rehearsal"))
        found = rehearse(job.objective, job.models, job.store, self._seen(), self._here(), job.tokens_per_piece or 1024)
        if found.note:
            job.tokens_per_piece = found.tokens_per_piece
            self.decisions = replace(self.decisions, tokens_per_piece=found.tokens_per_piece)
            self._state("running")
            self.tell(Event("note", 0, {"text": found.note}))
        self.tell(Event("estimate", 0, self._estimate(found)), keep=not self.resume)

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
        if best:
            checkpoints.save_best(self.run.checkpoints, step, self.models)
        checkpoints.save(self.run.checkpoints, step, self.models, self.job.optimizer, {"best": self.job.best})
        self._state("running")
        self.tell(Event("save", step, {"path": str(self.run.checkpoints / f"step-{step:06d}")}))

    def _result(self) -> None:
        """The best weights, in PEFT's or Hugging Face's own format, with tokenizer and template."""
        model: Any = self.models.policy.inner.model
        best = self.run.checkpoints / checkpoints.BEST / "weights.safetensors"
        if best.exists():  # not where the held-back loss never was a number
            checkpoints.load_weights(best, model)
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
    state = _gathered(model, weights)
    if hasattr(model, "peft_config"):
        name = model.active_adapter
        config = model.peft_config[name]
        config.base_model_name_or_path = str(Path(base).resolve()) if Path(base).exists() else base
        model.save_pretrained(partial, selected_adapters=[name], save_embedding_layers=False, state_dict=state)
    else:
        if model.generation_config is not None and renderer.stop_ids:
            model.generation_config.eos_token_id = list(renderer.stop_ids)
        model.save_pretrained(partial, state_dict=state)
        set_attention(partial)
    renderer.tokenizer.save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def _gathered(model: nn.Module, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A model's state with the trained weights whole, under every name that a tied one has."""
    first = {id(parameter): name for name, parameter in model.named_parameters()}
    every = {name: first[id(parameter)] for name, parameter in model.named_parameters(remove_duplicate=False)}
    mine = {name: value for name, value in model.state_dict().items() if not hasattr(value, "full_tensor")}
    return mine | {name: weights[known] for name, known in every.items() if known in weights}


def set_attention(folder: Path) -> None:
    """The saved config must not name our attention, which only exists here."""
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    config.pop("_attn_implementation", None)
    write_text(file, json.dumps(config, indent=2) + "\n")
