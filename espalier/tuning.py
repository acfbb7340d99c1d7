"""Training as a user means it: audit, rehearse, train, measure, hand over."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from espalier import seeding
from espalier.caching import cache_folder
from espalier.catalogue import build
from espalier.contracts import Frozen
from espalier.errors import RunError
from espalier.evaluation.forgetting import SHARE, Forgetting, General
from espalier.evaluation.measure import Measurement
from espalier.evaluation.report import write_report
from espalier.handover import handover
from espalier.models.added import saves_adapter
from espalier.models.heads import is_scalar
from espalier.models.roles import Role, declared, frozen
from espalier.opening import choose_device
from espalier.planning import Plan, check, plan_run
from espalier.recipe import Recipe, dump, spelled_out
from espalier.record import Listen, Recorder, new_run
from espalier.run import Run, machine, resume_command, versions, write_text
from espalier.starting import Start
from espalier.train import checkpoints, distributed
from espalier.train.loop import Event, Here, Job, fit
from espalier.train.reference import ReferenceCache, paid
from espalier.train.rehearsal import peak_memory, rehearse
from espalier.train.store import Order
from espalier.trees.forest import Forest
from espalier.tuning_estimate import estimate, tokens_of

__all__ = ["check", "train"]

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
    run = Run.open(recipe.out) if resume else new_run(Path(recipe.out))
    if resume and run.state == "finished":
        raise RunError(f"{run.folder}: this run is finished; its result is {run.result}.")
    wanted = run.recipe if resume else recipe
    with distributed.ranks(choose_device(wanted.train_options.device)), Recorder(run, listen) as tell:
        plan = distributed.first(lambda: plan_run(wanted))
        plan.audit.refuse(accept_dropped=plan.options.accept_dropped)
        tell(Event("audit", 0, {"audit": plan.audit}), keep=False)
        course = _Course(plan, run, tell, resume)
        course.begin()
        return course.go(stop)


@dataclass
class _Course:
    """One run from its plan to its result."""

    plan: Plan
    run: Run
    tell: Recorder
    resume: bool
    begun: float = field(default_factory=time.time)

    def begin(self) -> None:
        """Open the model, assemble the roles, and write the folder, or find out where the run stands."""
        self.general = General.of(self.plan.options.general, self.plan.place.model)
        self.saved = self._stands() if self.resume else None
        self.start = Start.of(self.plan, self.tell, self.run.info() if self.resume else None)
        self.models = self.start.models()
        self.job = self._job()
        self.about = self._about()
        self._write_start()
        for name, role in self.models.roles.items():
            if name != "policy":
                how = ", computed once and kept" if self.job.cache else ""
                self.tell.note(f"{name} = {role.describe}{how}", keep=not self.resume)

    def _stands(self) -> Path | None:
        """The newest checkpoint of the run; what was written after it is forgotten.

        Raises:
            RunError: the rows are not those the run began with.
        """
        if self.run.info()["rows"] != self.plan.store.digest:
            raise RunError(
                f"{self.run.folder}: the rows are not those this run began with. Put the data back as it was, "
                "or start a new run."
            )
        if distributed.rank() == 0:
            checkpoints.mend(self.run.folder)
            checkpoints.mend(self.run.checkpoints)
        saved = distributed.agreed(checkpoints.found(self.run.checkpoints)[-1:])
        if distributed.rank() == 0:
            self.run.forget_after(checkpoints.step_of(saved[0]) if saved else 0)
        return saved[0] if saved else None

    def _job(self) -> Job:
        plan, options = self.plan, self.plan.options
        rate, batch_size, warmup = options.learning_rate or 0.0, options.batch_size or 1, options.warmup or 0.0
        trained = [(name, p) for name, p in self.models.policy.engine.named_parameters() if p.requires_grad]
        adapter = self.start.adapter
        groups = adapter.groups(trained) if adapter is not None else [{"params": trained}]
        optimizer = build(plan.recipe.optimizer).build([group | {"lr": rate} for group in groups])
        tenth, key = max(1, plan.steps // 10), self.start.key
        return Job(
            plan.objective,
            self.models,
            optimizer,
            plan.store,
            Order(plan.numbers, batch_size, options.seed, plan.store.prompts),
            plan.held,
            plan.steps,
            rate,
            warmup,
            options.schedule,
            options.max_norm,
            options.seed,
            self.start.decisions.tokens_per_piece,
            options.eval_every or tenth,
            options.save_every or tenth,
            cache=ReferenceCache(cache_folder() / "reference.sqlite", key) if key else None,
            save=self._save,
            adapter=adapter,
            moving=any(not isinstance(kind, Frozen) for kind in declared(plan.objective).values()),
        )

    def _write_start(self) -> None:
        """The run's folder as it stands before the first step."""
        if self.resume or distributed.rank() != 0:
            return
        self.run.folder.mkdir(parents=True, exist_ok=True)
        self.run.write("audit.json", self.plan.audit.__dict__)
        write_text(
            self.run.folder / "recipe.toml", dump(spelled_out(replace(self.plan.recipe, out=str(self.run.folder))))
        )
        self._state("running")

    def _about(self) -> dict[str, Any]:
        """What run.json says beside the state."""
        past = self.run.info() if self.resume else {}
        return {
            "steps": self.plan.steps, "roles": {name: role.describe for name, role in self.models.roles.items()},
            "versions": versions(), "machine": machine(), "ranks": distributed.world_size(),
            "rows": self.plan.store.digest, "seconds": past.get("seconds", 0.0),
            "started": past.get("started", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.begun))),
            "memory_gb": past.get("memory_gb", 0.0), "reference": past.get("reference", {}),
        }  # fmt: skip

    def _state(self, state: str) -> None:
        if distributed.rank() != 0:
            return
        seconds = round(self.about["seconds"] + time.time() - self.begun, 1)
        peak = round(peak_memory(self.models.policy.device) / 2**30, 2)
        self.about["memory_gb"] = max(peak, self.about["memory_gb"])
        self.run.write(
            "run.json", {"state": state, **self.about, "decisions": self.start.decisions.table(), "seconds": seconds}
        )

    def go(self, stop: Stop) -> Run:
        """Reference, measurement before, training, result, measurement after, report."""
        job, run = self.job, self.run
        self._reference()
        measured = self._measurement()
        measured.before(self.models.policy, self._started_from())
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
        values = {
            "folder": str(run.folder),
            "result": str(run.result),
            "state": run.state,
            "seconds": run.info()["seconds"],
        }
        self.tell(Event("end", done, values | {"resume": command}), keep=False)
        return run

    def _measurement(self) -> Measurement:
        def progress(what: str, done: int, total: int) -> None:
            self.tell(Event("evaluating", 0, {"text": what, "done": done, "total": total}), keep=False)

        alone, renderer, seed = distributed.world_size() == 1, self.plan.renderer, self.plan.options.seed
        rows = [self.plan.store.row(n) for n in self.plan.held] if alone else []
        weighed = self.general if alone and not is_scalar(self.models.policy.inner.model) else None
        tokens = int(SHARE * tokens_of(self.job))
        forgetting = Forgetting(weighed, renderer, seed, tokens) if weighed else None
        return Measurement(self.run, rows, renderer, seed, progress, forgetting)

    def _started_from(self) -> Role:
        """The model without what this run puts before it: virtual tokens that are not trained yet say nothing of it."""
        policy, adapter = self.models.policy, self.start.adapter
        if adapter is None or adapter.starts_at_base:
            return policy
        return frozen(policy, "start", fresh_adapter=True, base=self.plan.place.model)

    def _start_again(self) -> Role | None:
        """The policy as it was at step 0, for pairs: the objective's reference, or the weights read again."""
        kind = declared(self.plan.objective).get("reference")
        if kind is None:
            return None
        return (
            self.models.reference
            if isinstance(kind, Frozen) and "reference" in self.models.roles
            else self.start.again()
        )

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
        begun = time.perf_counter()
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
        took = time.perf_counter() - begun if missing else 0.0
        self.about["reference"] = paid(self.about["reference"], len(seen), len(missing), took)
        self.models.forget_transient()

    def _rehearse(self) -> None:
        job = self.job
        if getattr(job.optimizer, "fused", False) is True or distributed.world_size() > 1:
            return  # a fused optimizer would update; ranks would have to agree
        torch.manual_seed(seeding.derive(job.seed, "rehearsal"))
        found = rehearse(job.objective, job.models, job.store, self._seen(), self._here(), job.tokens_per_piece or 1024)
        if found.note:
            job.tokens_per_piece = found.tokens_per_piece
            self.start.decisions = replace(self.start.decisions, tokens_per_piece=found.tokens_per_piece)
            self._state("running")
            self.tell.note(found.note)
        self.tell(Event("estimate", 0, estimate(job, found, self.plan.audit.shared)), keep=not self.resume)

    def _save(self, step: int, best: bool) -> None:
        """A checkpoint, and apart from it the best weights so far."""
        if best:
            checkpoints.save_best(self.run.checkpoints, step, self.models, self.job.optimizer)
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
        name = "adapter" if saves_adapter(model) and not is_scalar(model) else "model"
        handover(model, weights, self.plan.renderer, self.run.folder / name, base=self.plan.place.model)
