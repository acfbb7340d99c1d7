"""What stands on the command line behind `train` and `check`, made into a recipe.

Options that typer does not know are options of the recipe, written either way: --learning-rate 1e-4,
learning_rate=1e-4, objective.beta=0.2. A word by itself is the objective or a recipe file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from espalier.catalogue import addresses, cards
from espalier.errors import RecipeError, RunError
from espalier.recipe import Recipe, load_recipe, read_toml
from espalier.train.options import TrainOptions

RECIPE = "recipe.toml"
# Kind of rows -> the objective taken when none is named; else sft.
OBJECTIVES = {"preference": "dpo", "unpaired": "kto", "ranked": "reward_model"}


@dataclass(frozen=True)
class Words:
    """The command line taken apart: the word by itself, and the recipe's options as "name=value"."""

    what: str | None
    overrides: tuple[str, ...]


def take_apart(arguments: Sequence[str]) -> Words:
    """Words that are no option typer knows."""
    what, overrides = sort_out(arguments)
    if len(what) > 1:
        raise RecipeError(
            f"{what[0]!r} and {what[1]!r}: give one objective or recipe file; options are --name value or name=value."
        )
    return Words(what[0] if what else None, overrides)


def sort_out(arguments: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """The words by themselves, also those with options of their own ("dpo:beta=0.5"), and options as "name=value"."""
    what: list[str] = []
    overrides: list[str] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word.startswith("-"):
            name, equals, value = word.partition("=")
            name = name.lstrip("-").replace("-", "_")
            if not equals:
                takes = bool(rest) and not rest[0].startswith("--") and not _is_switch(name, rest[0])
                value = rest.pop(0) if takes else "true"
            overrides.append(f"{name}={value}")
        elif "=" in word and ":" not in word.partition("=")[0]:
            overrides.append(word)
        else:
            what.append(word)
    return what, tuple(overrides)


def _is_switch(name: str, following: str) -> bool:
    """Whether an option is true by being there, and the word that follows it is not its value."""
    last = name.rpartition(".")[2]
    kinds = {field.type for field in fields(TrainOptions) if field.name == last}
    kinds |= {option.type for card in cards() for option in card.options if option.name == last}
    # a number is no objective or recipe, and a method from outside may have a number where one of ours has a switch
    return kinds == {"bool"} and following not in ("true", "false") and not following[:1].isdigit()


def recipe_of(words: Words, given: Mapping[str, Any]) -> Recipe:
    """The recipe that a command line asks for.

    Args:
        words: what typer left over.
        given: the options typer knows, by their names in a recipe; None is not given.
    """
    path, what = None, words.what
    given = _there(given)
    if what is not None and _is_file(what):
        path = Path(what)
    elif what is not None:
        if (Path(what) / RECIPE).is_file() and what not in _objectives():
            raise RunError(
                f"{what} is the folder of a run: go on with it by --resume --out {what}, or start --from it."
            )
        given["objective"] = what
    if "model" not in given and (model := _model_of_run(given.get("from"), path)):
        given["model"] = model
    return load_recipe(path, words.overrides, **given)


def resumed(words: Words, given: Mapping[str, Any]) -> Recipe:
    """The recipe of the run to go on with: in `out`, or named by itself. What else is said must be what it says."""
    given, what = _there(given), words.what
    folder = Path(given.pop("out", None) or what or "")
    path = folder / RECIPE
    if not path.is_file():
        raise RunError(
            f"no run to go on with in {str(folder)!r}: there is no {RECIPE}. Name its folder: --resume --out RUN."
        )
    if what is not None and what != str(folder) and not _is_file(what):
        given["objective"] = what
    kept = load_recipe(path, out=folder)
    asked = load_recipe(path, words.overrides, **given, out=folder)
    changed = [field.name for field in fields(Recipe) if getattr(asked, field.name) != getattr(kept, field.name)]
    if changed:
        raise RunError(
            f"{folder}: a run goes on with its own recipe; leave out what would change its {' and '.join(changed)}."
        )
    return kept


def guessed(words: Words, given: Mapping[str, Any]) -> Words:
    """The words with the objective whose rows these are, where nothing names one."""
    data = given.get("data")
    if words.what is not None or data is None or any(option.startswith("objective") for option in words.overrides):
        return words
    from espalier.rows import read

    return Words(OBJECTIVES.get(read(data, columns=given.get("data.columns")).kind, "sft"), words.overrides)


def named(*, columns: str | None = None, **options: Any) -> dict[str, Any]:
    """Options by their names in a recipe."""
    if columns is not None:
        from espalier.rows import parse_columns

        options["data.columns"] = parse_columns(columns)
    return options


def use_threads(threads: int | None) -> int | None:
    """Have whatever is computed in this process use so many CPU threads: `opening.physical_cores` reads it back."""
    if threads is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    return threads


def _objectives() -> set[str]:
    return {name for address in addresses("objectives") for name in (address, address.partition("/")[2])}


def _there(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given, data before data.columns."""
    found = {name: value for name, value in given.items() if value is not None}
    return dict(sorted(found.items(), key=lambda item: "." in item[0]))


def _is_file(word: str) -> bool:
    return word.endswith(".toml") or Path(word).is_file()


def _model_of_run(start: Any, path: Path | None) -> Any:
    """The model of the run that this one starts from, where neither the command line nor the recipe names a model."""
    written = read_toml(path) if path else {}
    start = start or written.get("from")
    folder = Path(str(start))
    if start is None or "model" in written or not (folder / RECIPE).is_file():
        return None
    return read_toml(folder / RECIPE).get("model")
