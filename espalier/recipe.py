"""A training recipe: which model, which rows, which objective, adapter and optimizer, for how long.

model = "models/small"          # a folder or a Hugging Face id
data = "pairs.jsonl"            # or [[data]] tables with path, format, columns, weight, cap, limit, split, where
out = "runs/dpo"

[objective]
method = "objectives/dpo"       # the file espalier/objectives/dpo.py
beta = 0.05

[adapter]                       # left out, or method = "full": every weight is trained
method = "adapters/lora"

[train]
learning_rate = 5e-5
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from espalier.catalogue import build, load, options
from espalier.errors import RecipeError, unknown
from espalier.overrides import SOURCES, apply, check
from espalier.tables import Table, make, plain, toml
from espalier.train.options import TrainOptions

Data = str | list[Table]
FEW_ROWS = 10_000  # below this the papers' schedules for 60,000 pairs and more end before they begin


@dataclass(frozen=True)
class Source:
    """One item of `data`."""

    path: str
    format: str | None = None  # detected
    columns: dict[str, str] = field(default_factory=dict)  # our field -> the file's column
    weight: float | None = None  # share of the source beside the others'; by its rows if none has one
    cap: int | None = None  # so many of its rows count at most, where no weights are given
    limit: int | None = None  # read only so many rows
    split: str | None = None
    where: str = ""  # only rows with these values: "label=true", commas between several


@dataclass(frozen=True)
class RenderOptions:
    """How messages become tokens."""

    template: str | None = None  # the model's own chat template
    thinking: Literal["off", "on", "rows"] = "off"


@dataclass(frozen=True)
class Recipe:
    """A training recipe as written: sections stay tables until built, so what was given can be told from defaults."""

    model: str  # empty: that of `from`
    data: Data
    out: str
    objective: Table
    from_run: str | None = None  # `from`: a run whose result this one starts at
    eval_data: Data | None = None
    adapter: Table | None = None  # None: every weight is trained
    optimizer: Table = field(default_factory=lambda: {"method": "optimizers/adamw"})
    train: Table = field(default_factory=dict)
    render: Table = field(default_factory=dict)

    @property
    def train_options(self) -> TrainOptions:
        """[train], built."""
        return make(TrainOptions, self.train, "[train]", build)

    @property
    def render_options(self) -> RenderOptions:
        """[render], built."""
        return make(RenderOptions, self.render, "[render]", build)


REQUIRED = {
    "model": 'no model given. Name a folder or a Hugging Face id: --model M, or model = "M" in the recipe.',
    "data": 'no data given. Name a file of rows: --data D, or data = "D" in the recipe.',
    "out": 'no output folder given. Name a new folder for the run: --out R, or out = "R" in the recipe.',
    "objective": 'no objective given. Name one: `espalier train sft`, or [objective] method = "objectives/sft".',
}


def _types(cls: Any) -> dict[str, str]:
    return {option.name: str(option.type) for option in fields(cls)}


TOP = {"model": "str", "data": "str | list", "out": "str", "from": "str", "eval_data": "str | list"}
FLAT = {"": TOP, "train": _types(TrainOptions), "render": _types(RenderOptions)}


def load_recipe(path: str | Path | None = None, overrides: Sequence[str] = (), **given: Any) -> Recipe:
    """A recipe from a TOML file, from values, or from both; later ones win: file, values, overrides.

    Args:
        path: the file, if there is one.
        overrides: "objective.beta=0.2", or "beta=0.2" where one section only has that option.
        given: the same by name (`model="M"`, `adapter="lora"`, `max_steps=4`); None means not given.
    """
    tables: Table = {"optimizer": {"method": "optimizers/adamw"}}
    if path is not None:
        written = read_toml(path)
        try:
            apply(tables, written.items(), FLAT)
            check(tables, FLAT)
        except RecipeError as error:
            raise RecipeError(f"{path}: {error}") from None
    values = {"from" if key == "from_run" else key: value for key, value in given.items() if value is not None}
    apply(tables, values.items(), FLAT)
    apply(tables, map(_split, overrides), FLAT, text=True)
    check(tables, FLAT)
    for key, sentence in REQUIRED.items():
        if not tables.get(key) and not (key == "model" and tables.get("from")):
            raise RecipeError(sentence)
    if isinstance(tables["data"], Mapping) and "path" not in tables["data"]:  # data.where=... by itself
        raise RecipeError(REQUIRED["data"])
    for key in SOURCES:
        if key in tables:
            tables[key] = _sources(tables[key], key)
    for key in {"model", "out", "from"} & tables.keys():
        if not isinstance(tables[key], str | Path):
            raise RecipeError(f"{key!r} must be text, not {tables[key]!r}.")
        tables[key] = str(tables[key])
    tables.setdefault("model", "")
    recipe = Recipe(**{"from_run" if key == "from" else key: value for key, value in tables.items()})
    return replace(
        recipe,
        train=_converted(recipe.train_options, recipe.train),
        render=_converted(recipe.render_options, recipe.render),
    )


def read_toml(path: str | Path) -> Table:
    """A TOML file, or a sentence with file and line."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RecipeError(f"{path}: cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise RecipeError(f"{path}: not a recipe, which is TOML in UTF-8.") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem, _, place = str(error).partition(" (at line ")
        line = place.partition(",")[0] or 1 + text.count("\n")  # "at end of document"
        problem = problem.removesuffix(" (at end of document)")
        raise RecipeError(
            f"{path}, line {line}: {problem}. A recipe is TOML: name = value, with text in quotes."
        ) from None


def _split(override: str) -> tuple[str, str]:
    name, equals, value = override.partition("=")
    if not equals or not name.strip():
        raise RecipeError(f"{override!r} is no override. Write name=value, for example learning_rate=1e-4.")
    return name.strip().removeprefix("--").replace("-", "_"), value.strip()


def _sources(data: Any, key: str) -> Data:
    """One path, or tables that are each a `Source`."""
    if isinstance(data, str | Path):
        return str(data)
    items = data if isinstance(data, list | tuple) else [data]
    tables = [{"path": str(item)} if isinstance(item, str | Path) else item for item in items]
    for table in tables:
        if not isinstance(table, Mapping):
            raise RecipeError(f"{key!r} is a path or tables with a path, not {table!r}.")
    return [_converted(make(Source, table, f"[[{key}]]", build), table) for table in tables]


def _converted(built: object, table: Mapping[str, Any]) -> Table:
    """The table with its values as they were converted, without those that are None: None is "not given" here."""
    return {key: value for key in table if (value := getattr(built, key)) is not None}


def resolve_presets(recipe: Recipe, n_rows: int) -> tuple[Recipe, str | None]:
    """Fill what was not given from the objective's preset, and say which was taken.

    The preset is the one asked for in [train]; else `small` where an adapter is trained or the rows are few, for the
    papers' learning rates of full tuning teach an adapter next to nothing; else `paper`.

    Returns:
        The recipe with the preset's values in its tables, and the preset's name; None where the objective has none.
    """
    address = recipe.objective["method"]
    presets: dict[str, Table] = getattr(load(address), "presets", {})
    asked = recipe.train_options.preset
    if asked is not None and asked not in presets:
        raise RecipeError(unknown(f"preset of {address}", asked, presets))
    if not presets:
        return recipe, None
    taken = asked or ("small" if recipe.adapter or n_rows < FEW_ROWS else "paper")
    mine = {key: value for key, value in presets[taken].items() if key not in FLAT["train"]}
    general = {key: value for key, value in presets[taken].items() if key in FLAT["train"]}
    if recipe.adapter and "learning_rate" in general:  # the presets' learning rates are LoRA's
        rate = getattr(load(recipe.adapter["method"]), "rate", 1.0)
        general["learning_rate"] = float(f"{rate * general['learning_rate']:.6g}")
    train = {**general, **recipe.train, "preset": taken}
    return replace(recipe, objective={"method": address, **mine, **recipe.objective}, train=train), taken


def spelled_out(recipe: Recipe) -> Recipe:
    """The recipe with every default written down, as a run records it: a later default must not change it."""
    return replace(
        recipe,
        objective=options(build(recipe.objective)),
        adapter=options(build(recipe.adapter)) if recipe.adapter else None,
        optimizer=options(build(recipe.optimizer)),
        train=plain(recipe.train_options, lambda _: None),
        render=plain(recipe.render_options, lambda _: None),
    )


def dump(recipe: Recipe) -> str:
    """The recipe as TOML; `load_recipe` reads it back to an equal recipe."""
    tables = {
        "from" if field.name == "from_run" else field.name: getattr(recipe, field.name) for field in fields(recipe)
    }
    return toml({key: value for key, value in tables.items() if value is not None and value != {}})
