"""Planning a run: everything that can be known before a weight is loaded, and the audit that shows it."""

from __future__ import annotations

import hashlib
import json
import shlex
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from espalier import __version__
from espalier import recipe as recipes
from espalier.advice import TRIED, usable
from espalier.audit import Audit, hold_back, plant
from espalier.caching import cache_folder
from espalier.catalogue import address_of, build, load
from espalier.catalogue import options as made
from espalier.errors import ModelError, RecipeError, RowError
from espalier.evaluation.wording import listed
from espalier.mixture import mix
from espalier.models.load import bundled, context_length, load_config
from espalier.opening import open_renderer
from espalier.recipe import Recipe, Source
from espalier.render import Renderer
from espalier.rows import Rows, read
from espalier.run import Located, locate
from espalier.train.options import TrainOptions
from espalier.train.store import Store

WIDTH = 2048  # the hidden size that the learning rates of presets `small` are for


@dataclass(frozen=True)
class Plan:
    """A run before any weight is loaded: what it trains on, and with what."""

    recipe: Recipe
    objective: Any
    options: TrainOptions
    place: Located
    renderer: Renderer
    store: Store
    audit: Audit
    numbers: np.ndarray[Any, Any]  # training examples, repeated as the mixture asks
    held: list[int]

    @property
    def steps(self) -> int:
        """Optimizer steps of the run."""
        per_epoch = -(-len(self.numbers) // (self.options.batch_size or 1))
        steps = max(1, round(per_epoch * (self.options.epochs or 1)))
        return min(steps, self.options.max_steps or steps)


def check(recipe: Recipe) -> Audit:
    """The audit alone: in seconds, without weights."""
    return plan_run(recipe).audit


def plan_run(recipe: Recipe) -> Plan:
    """Read the recipe, the tokenizer and the rows; decide what follows from them."""
    objective = build(recipe.objective)
    options = recipe.train_options
    place = locate(recipe.from_run or recipe.model)
    _same_base(recipe, place)
    if recipe.from_run is not None and not recipe.render:
        template = {"template": place.template} if place.template else {}
        recipe = replace(recipe, render={**template, "thinking": place.thinking})
    renderer = open_renderer(place, recipe.render_options.template, recipe.render_options.thinking)
    config = load_config(place.model)
    context = context_length(config) or 1 << 20
    if options.max_tokens is not None and options.max_tokens > context:
        raise RecipeError(f"max_tokens = {options.max_tokens} is more than the model's context of {context} tokens.")
    sources, held = _sources(recipe.data), _sources(recipe.eval_data) if recipe.eval_data else []
    limit = options.limit
    rows = [_read(source, source.limit or limit) for source in sources]
    held_rows = [_read(source, source.limit) for source in held]
    max_tokens = options.max_tokens or context
    key = _data_key(recipe, renderer, max_tokens, [*sources, *held])
    store, audit = plant(
        objective,
        rows,
        renderer,
        max_tokens=max_tokens,
        folder=cache_folder() / "rows" / key,
        held_sources=held_rows,
        context=context,
    )
    if not audit.kept and (error := _unusable(objective, sources[0], next(iter(audit.where.values()), [""])[0])):
        raise error
    scale = 1.0 if options.learning_rate is not None else faster(config)
    recipe = _with_presets(recipe, audit.kept, adapter=bool(recipe.adapter or place.adapter), scale=scale)
    options = recipe.train_options
    if None in (options.learning_rate, options.batch_size, options.epochs, options.warmup):
        raise RecipeError(f"{address_of(objective)} has no presets: give learning_rate, batch_size, epochs and warmup.")
    own = audit.kept - audit.held
    share = 0.0 if held else options.eval_share
    kept, chosen = hold_back(
        store, own, share=share, most=options.eval_rows, group=options.eval_group, seed=options.seed
    )
    audit.held = audit.held or len(chosen)
    audit.settings = _taken(recipe, scale)
    if own and not len(kept):
        raise RowError(f"all {own} rows are held back for evaluation and none is left to train on. Lower eval_share.")
    numbers = _mixed(kept, audit.sources[: len(sources)], sources, options.seed)
    objective = build(recipe.objective)
    if hasattr(objective, "settle"):  # some of its options follow from the rows
        try:
            objective, told = objective.settle((store[int(n)] for n in numbers), options.batch_size)
        except RowError as error:
            raise (_unusable(objective, sources[0], str(error)) or error) from None
        audit.detected.append(told)
        recipe = replace(recipe, objective=made(objective))
    return Plan(
        recipe, objective, options, place, renderer, store, audit, numbers,
        chosen or list(range(own, audit.kept))[: options.eval_rows],
    )  # fmt: skip


def _unusable(objective: Any, source: Source, why: str) -> RowError | None:
    """What to say of rows that the objective has no use for, and who has; None where it is not for their kind."""
    names = usable(list(islice(_read(source, TRIED), TRIED)))
    if address_of(objective).rpartition("/")[2] in names:
        return None
    others = f"These rows are good for {listed(names, len(names))}" if names else "No objective can use these rows"
    more = shlex.join(["espalier", "methods", "--for", source.path])
    return RowError(f"{why.rstrip('.')}. {others}; `{more}` says more.")


def _same_base(recipe: Recipe, place: Located) -> None:
    """`--from` names its own base; another `model` beside it is a mistake."""
    if recipe.from_run is None or place.adapter is None or not recipe.model:
        return
    model = bundled(recipe.model)
    if Path(model).exists() and Path(place.model).exists() and Path(model).samefile(place.model):
        return
    if recipe.model not in (place.model, recipe.from_run):
        raise ModelError(
            f"{recipe.from_run}: this adapter was made for {place.model}, not for {recipe.model}. Leave --model out."
        )


def faster(config: Any) -> float:
    """How many times the learning rate of a preset `small` a model gets: (2048 / its width)^(2/3), from 1 to 4.

    Narrow models want higher rates. The exponent makes it 4 at a width of 256, where every preference objective was
    measured to learn at four times its rate and hardly at the rate itself (docs/objectives_measured.md).
    """
    width = getattr(config.get_text_config(), "hidden_size", None) or WIDTH
    return float(min(4.0, max(1.0, (WIDTH / width) ** (2 / 3))))


def _with_presets(recipe: Recipe, rows: int, *, adapter: bool, scale: float) -> Recipe:
    """The recipe with the objective's preset filled in; an adapter that is trained on counts as one, too."""
    given = recipe.train
    if adapter and not given.get("preset"):
        presets = getattr(load(recipe.objective["method"]), "presets", {})
        recipe = replace(recipe, train={**given, "preset": "small"}) if "small" in presets else recipe
    recipe, taken = recipes.resolve_presets(recipe, rows)
    if taken != "small" or "learning_rate" in given:
        return recipe
    tenth = 1 if adapter else 10  # the small preset's is for adapters; all weights want about a tenth
    rate = float(f"{recipe.train['learning_rate'] * scale / tenth:.2g}")
    return replace(recipe, train={**recipe.train, "learning_rate": rate})


def _taken(recipe: Recipe, scale: float) -> str:
    """The preset of a run and the values that it has from it: "small: beta 0.1, learning_rate 5e-06"."""
    name = recipe.train.get("preset")
    values = getattr(load(recipe.objective["method"]), "presets", {}).get(name, {})
    given = {**recipe.train, **recipe.objective}
    scaled = f" (learning rate x{scale:.2g}: a narrow model)" if scale > 1 and name == "small" else ""
    return f"{name}{scaled}: " + ", ".join(f"{key} {given[key]}" for key in values if key in given) if name else ""


def _sources(data: Any) -> list[Source]:
    return [Source(data)] if isinstance(data, str) else [Source(**table) for table in data]


def _read(source: Source, limit: int | None) -> Rows:
    return read(
        source.path, format=source.format, columns=source.columns, limit=limit, split=source.split, where=source.where
    )


def _mixed(kept: np.ndarray[Any, Any], sizes: list[int], sources: list[Source], seed: int) -> np.ndarray[Any, Any]:
    """The training rows of one epoch, each source with its share."""
    ends = np.cumsum([0, *sizes])
    members = [kept[(kept >= a) & (kept < b)] for a, b in pairwise(ends)]
    return mix(members, [source.weight for source in sources], [source.cap for source in sources], seed=seed)


def _data_key(recipe: Recipe, renderer: Renderer, max_tokens: int, sources: list[Source]) -> str:
    """A hash of everything the planted rows depend on."""
    files = []
    for source in sources:
        path = Path(source.path)
        parts = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        files += [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in parts if p.exists()]
    content = [
        __version__,
        made(build(recipe.objective)),
        renderer.key,
        max_tokens,
        repr(sources),
        recipe.train_options.limit,
        files,
    ]
    return hashlib.sha256(json.dumps(content, default=str).encode()).hexdigest()[:32]
