"""The verbs for Python: `from espalier import check, compare, curate, evaluate, train`.

check("sft", model="models/small", data="rows.jsonl")
run = train("sft", model="models/small", data="rows.jsonl", out="runs/sft", adapter="lora", epochs=2)
before, after = (evaluate(target, "new_rows.jsonl") for target in ("models/small", run))
for change in compare(before, after): print(change)
best = curate("best_of_n", "prompts.jsonl", run, scorer=reward, k=8)

They do what the verbs of the same names do on the command line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from espalier import console, planning, tuning
from espalier.answering import Answering
from espalier.audit import Audit
from espalier.cli.curators import Asked, address
from espalier.cli.progress import Progress
from espalier.cli.stopping import stops_in_order
from espalier.cli.targets import open_measured, reference_of
from espalier.collecting import Collected, Work, collect
from espalier.contracts import LM, Scorer
from espalier.curating import prompted
from espalier.evaluation.compare import compare
from espalier.evaluation.evaluate import evaluate as measure
from espalier.evaluation.results import Evaluation
from espalier.recipe import load_recipe
from espalier.rows import read
from espalier.run import Run
from espalier.scoring import open_scorer
from espalier.train.loop import Event

__all__ = ["check", "compare", "curate", "evaluate", "train"]

Target = str | Path | Run


def train(
    objective: str | Mapping[str, Any] | None = None,
    *,
    model: str | Path | None = None,
    data: Any = None,
    out: str | Path | None = None,
    adapter: str | Mapping[str, Any] | None = None,
    start: Target | None = None,
    recipe: str | Path | None = None,
    resume: bool = False,
    show: bool = True,
    on_step: Callable[[Event], None] = lambda event: None,
    **options: Any,
) -> Run:
    """Train a model, and measure what it gained.

    Args:
        objective: "sft", "dpo", ..., or a table of its options: {"method": "dpo", "beta": 0.2}.
        model: a folder or a Hugging Face id.
        data: a path or a dataset's id, or several tables with path and weight.
        out: the folder of the run, made new.
        adapter: "lora", or a table of its options; every weight is trained if there is none.
        start: a run (or its folder) whose result this one starts at, instead of a model.
        recipe: a TOML file; what is given beside it counts more.
        resume: go on with the run in `out`; nothing else is needed then.
        show: print what `espalier train` prints.
        on_step: called after each optimizer step with an event: its `step`, and `values` with the loss and more.
        options: every other option of a recipe by name (`learning_rate=1e-4`, `beta=0.2`).

    Returns:
        The run; `run.state` is "interrupted" where Ctrl-C stopped it, and `resume` goes on with it.

    Raises:
        EspalierError: the recipe, the data, the model or the run cannot be.
    """
    folder = None if start is None else _folder(start)
    given = {"objective": objective, "model": model, "data": data, "out": out, "adapter": adapter, "from_run": folder}
    if resume and recipe is None and out is not None:
        recipe = Run.open(out).folder / "recipe.toml"
    wanted = load_recipe(recipe, **given, **options)
    with ExitStack() as stack:
        progress = stack.enter_context(Progress(console.make())) if show else None
        asked = stack.enter_context(stops_in_order(lambda: progress.training)) if progress else lambda: False

        def listen(event: Event) -> None:
            if progress:
                progress(event)
            if event.kind == "step":
                on_step(event)

        return tuning.train(wanted, resume=resume, listen=listen, stop=asked)


def check(
    objective: str | Mapping[str, Any] | None = None,
    *,
    model: str | Path | None = None,
    data: Any = None,
    recipe: str | Path | None = None,
    **options: Any,
) -> Audit:
    """Look at the rows before training, in seconds and without weights: what is read, dropped and trained.

    Args:
        objective: what the rows are for: "sft", "dpo", ...
        model: a folder or a Hugging Face id.
        data: as for `train`.
        recipe: a TOML file; what is given beside it counts more.
        options: every other option of a recipe by name.
    """
    given = {"objective": objective, "model": model, "data": data, "out": "-"}  # nothing is written
    return planning.check(load_recipe(recipe, **given, **options))


def evaluate(
    target: Target,
    data: str | Path | Iterable[Mapping[str, Any]],
    against: Target | None = None,
    *,
    columns: str | None = None,
    limit: int | None = None,
    **options: Any,
) -> Evaluation:
    """Measure a model on rows; every number has a 95 % interval.

    Args:
        target: a run, an adapter, a model folder or a Hugging Face id; also a reward model.
        data: rows that it has not seen: a file, a folder, a dataset's id or dicts.
        against: the reference of preference pairs: "base", or another target; an adapter's is its base by itself.
        columns: which column is which field: "prompt=question,completion=answer".
        limit: read only so many rows.
        options: of `espalier.evaluation.evaluate.evaluate`: max_tokens, temperature, seed, ...
    """
    rows = read(data, columns=columns, limit=limit)
    loaded, other = open_measured(_folder(target), None if against is None else _folder(against))
    how = {"reference": reference_of(loaded, other), "name": loaded.describe, **options}
    return measure(loaded.policy, rows, loaded.renderer, **how)


def curate(
    method: str,
    data: str | Path | Iterable[Mapping[str, Any]],
    lm: Target | LM | Sequence[Target | LM] = (),
    *,
    scorer: str | Scorer | None = None,
    judge: str | None = None,
    columns: str | None = None,
    limit: int | None = None,
    **options: Any,
) -> Collected:
    """Make rows: sample answers, score them, keep the best.

    Args:
        method: "best_of_n", "binarize", ... of `selection` and `synthesis`.
        data: rows: a file, a folder, a dataset's id or dicts.
        lm: the model, or the models, that answer: runs, names, addresses of servers, or clients.
        scorer: a scorer, or the name of one: a method, a reward model's folder, a model that rates.
        judge: the model that a scorer asks, by its name or address.
        columns: which column is which field.
        limit: read only so many rows.
        options: of the method.

    Returns:
        `kept` rows, `dropped` ones with their reasons, and what was `spent`.
    """
    asked = Asked(address(method), options, None, {}, ())
    named = [lm] if isinstance(lm, str | Path | Run) or hasattr(lm, "complete") else list(lm)
    rows = [prompted(row) for row in read(data, columns=columns, limit=limit)]
    with Answering() as answering, tempfile.TemporaryDirectory() as place:
        judged = open_scorer(scorer, judge, {}, answering) if isinstance(scorer, str) else scorer
        asking = [one if hasattr(one, "complete") else answering.open(_folder(one)) for one in named]
        curator = asked.built(asking, judged)
        work = Work(answering.workers, answering.spent)
        return collect(curator, rows, Path(place) / "rows.partial", {}, work)


def _folder(target: Target) -> str:
    return str(target.folder if isinstance(target, Run) else target)
