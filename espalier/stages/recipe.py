"""A recipe of stages: commands of espalier in order, with names for what changes from one run to the next.

out = "runs/first"              # {out} in commands
report = "{out}/sft/report.html"      # named at the end, if it is there
next = "espalier chat {out}/sft"      # said at the end

[values]                        # any names; `espalier run recipe.toml model=folder` overrides them
model = "models/small"

[[stage]]
name = "sft"
why = "Teach it the answers."   # printed before it runs
command = "train sft --model {model} --data rows.jsonl --out {out}/sft"
after = ["world"]               # besides the stages that write what the command names
writes = ["{out}/sft"]          # what --out names, if left out
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from espalier.errors import RecipeError, unknown
from espalier.overrides import read_value
from espalier.recipe import read_toml
from espalier.tables import make

SHELL = {"|", "||", "&", "&&", ";", ">", ">>", "<", "2>", "2>&1"}
TRAINING = {"objective", "adapter", "optimizer", "train"}  # sections of the recipe of a single run
_NAME = re.compile(r"[\w-]+")
_HOLE = re.compile(r"\{\{(\w+)\}\}|\{(\w+)\}")  # {{name}} stands for {name} itself


@dataclass(frozen=True)
class Stage:
    """One command, whole: its values are filled in."""

    name: str
    words: tuple[str, ...]  # behind `espalier`
    why: str = ""
    after: tuple[str, ...] = ()  # the stages it needs
    writes: tuple[Path, ...] = ()

    def named(self) -> Iterator[Path]:
        """Every path that the command may name: the words behind its verb, and what stands behind an equals sign."""
        for word in self.words[1:]:
            yield from (Path(os.path.expanduser(part)) for part in {word, word.partition("=")[2]} if part)


@dataclass(frozen=True)
class Stages:
    """A recipe of stages, in the order in which they run."""

    file: Path
    out: Path
    stages: tuple[Stage, ...]
    report: str = ""
    next: str = ""

    def stage(self, name: str) -> Stage:
        """The stage of a name.

        Raises:
            RecipeError: there is none.
        """
        found = {stage.name: stage for stage in self.stages}
        if name not in found:
            raise RecipeError(f"{self.file}: {unknown('stage', name, found)}")
        return found[name]


@dataclass(frozen=True)
class _Written:
    """A [[stage]] table."""

    name: str
    command: str
    why: str = ""
    after: tuple[str, ...] = ()
    writes: tuple[str, ...] | None = None


def load_stages(file: str | Path, overrides: Sequence[str] = ()) -> Stages:
    """Read a recipe of stages.

    Args:
        file: the TOML file.
        overrides: "name=value", for `out` or what [values] has.

    Raises:
        RecipeError: it cannot be read, or its stages cannot be put in order.
    """
    tables = read_toml(file)
    try:
        return _stages(Path(file), tables, overrides)
    except RecipeError as error:
        raise RecipeError(f"{file}: {error}") from None


def _stages(file: Path, tables: Mapping[str, Any], overrides: Sequence[str]) -> Stages:
    if "stage" not in tables and TRAINING & tables.keys():
        raise RecipeError(f"this is the recipe of a single run. Type: espalier train {shlex.quote(str(file))}")
    known = {"stage", "values", "out", "report", "next"}
    for key in tables:
        if key not in known:
            raise RecipeError(unknown("part of a recipe of stages", key, known))
    items = tables.get("stage")
    if not isinstance(items, list) or not items:
        raise RecipeError("no stages. Each is a [[stage]] table with a name and a command.")
    values = _values(tables, overrides)
    stages = [_stage(number, item, values) for number, item in enumerate(items, 1)]
    _check(stages, Path(values["out"]))
    texts = {key: _filled(_text(tables.get(key, ""), key), values) for key in ("report", "next")}
    return Stages(file, Path(values["out"]), _in_order([_linked(stage, stages) for stage in stages]), **texts)


def _values(tables: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, str]:
    """`out` and the values as text, those of the command line instead of those written down."""
    written = tables.get("values", {})
    if not isinstance(written, Mapping):
        raise RecipeError('[values] is a table of names and values, for example model = "models/small".')
    for name in (name for name in written if not re.fullmatch(r"\w+", name)):
        raise RecipeError(f"a value is named by letters, digits and _, not {name!r}.")
    if "out" in written:
        raise RecipeError("'out' stands at the top of a recipe, before [values].")
    if "out" not in tables:
        raise RecipeError('no output folder given. Name it: out = "runs/first", before the first table.')
    known = {"out": tables["out"], **written}
    given: dict[str, str] = {}
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise RecipeError(f"{override!r} is no value. Write name=value; known names: {', '.join(known)}.")
        if name not in known:
            raise RecipeError(unknown("value", name, known))
        read = read_value(value)
        given[name] = read if isinstance(read, str) else value
    found: dict[str, str] = {}
    for name, value in known.items():
        found[name] = given[name] if name in given else _filled(_text(value, name), found)
    if not found["out"]:
        raise RecipeError("'out' is empty. Name a folder.")
    return found


def _text(value: Any, name: str) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise RecipeError(f"{name!r} is text or a number, not {value!r}.")


def _filled(text: str, values: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        literal, name = found.groups()
        if literal:
            return f"{{{literal}}}"
        if name not in values:
            raise RecipeError(unknown("value", name, values, also=f"For the text itself write {{{{{name}}}}}."))
        return values[name]

    return _HOLE.sub(value, text)


def _stage(number: int, table: Any, values: Mapping[str, str]) -> Stage:
    name = table.get("name") if isinstance(table, Mapping) else None
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise RecipeError(f"stage {number} needs a name of letters, digits, - and _, not {name!r}.")
    written = make(_Written, table, f"stage {name!r}", dict)
    try:
        words = shlex.split(written.command)
        if SHELL & set(words):
            raise RecipeError(f"{min(SHELL & set(words))!r} is of a shell, and a stage is one command without one.")
        words = [os.path.expanduser(word) if word.startswith("~/") else word for word in words]
        words = [_filled(word, values) for word in words]  # after the split: a value with spaces is one word
        if words[:1] == ["espalier"]:
            del words[0]
        if not words:
            raise RecipeError("its command is empty. Write what you would type behind `espalier`.")
        writes = _outputs(words) if written.writes is None else [_filled(path, values) for path in written.writes]
        why = _filled(written.why, values)
    except (RecipeError, ValueError) as error:  # a quotation that does not end
        raise RecipeError(f"stage {name!r}: {error}") from None
    return Stage(name, tuple(words), why, written.after, tuple(Path(os.path.expanduser(path)) for path in writes))


def _outputs(words: Sequence[str]) -> list[str]:
    """What a command writes: what --out names, or the `out` of the recipe it is given."""
    for at, word in enumerate(words):
        if word == "--out":
            return list(words[at + 1 : at + 2])
        if word.removeprefix("--").startswith("out="):
            return [word.partition("=")[2]]
    recipes = [word for word in words if word.endswith(".toml") and Path(word).is_file()]
    return [out for recipe in recipes if isinstance(out := read_toml(recipe).get("out"), str)]


def _check(stages: Sequence[Stage], out: Path) -> None:
    """Refuse names and outputs that two stages share, and outputs inside one another."""
    names = [stage.name for stage in stages]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"two stages are named {name!r}. Each has a name of its own.")
    for stage in stages:
        for name in (name for name in stage.after if name not in names):
            raise RecipeError(f"stage {stage.name!r}: {unknown('stage', name, names)}")
        for path in stage.writes:
            if within(out, path):
                raise RecipeError(f"stage {stage.name!r} writes {path} itself. Have it write a folder inside {out}.")
            for other in stages:
                if other is not stage and any(within(path, theirs) for theirs in other.writes):
                    raise RecipeError(
                        f"stages {stage.name!r} and {other.name!r} both write in {path}. Give each a place of its own."
                    )


def _linked(stage: Stage, stages: Sequence[Stage]) -> Stage:
    """The stage with those it needs: the ones it names, and those that write what its command names."""
    named = [path for path in stage.named() if path not in stage.writes]
    needs = {
        other.name
        for other in stages
        if other is not stage and any(within(path, theirs) for path in named for theirs in other.writes)
    }
    after = tuple(other.name for other in stages if other.name in needs | set(stage.after))
    return replace(stage, after=after)


def _in_order(stages: Sequence[Stage]) -> tuple[Stage, ...]:
    """Each stage behind those it needs, and otherwise as written."""
    try:
        TopologicalSorter({stage.name: stage.after for stage in stages}).prepare()
    except CycleError as error:
        around = " after ".join(reversed(error.args[1]))
        raise RecipeError(f"the stages wait for each other: {around}. Take one `after` or path away.") from None
    rest, done = list(stages), list[Stage]()
    while rest:
        ready = next(stage for stage in rest if set(stage.after) <= {other.name for other in done})
        done.append(ready)
        rest.remove(ready)
    return tuple(done)


def within(path: Path, folder: Path) -> bool:
    """Whether a path is a folder or lies in it; neither need exist."""
    inner, outer = (Path(os.path.abspath(each)) for each in (path, folder))
    return inner == outer or outer in inner.parents
