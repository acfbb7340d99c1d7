"""`methods` and `show`: what the catalogue holds, read from the files without importing a method."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.text import Text

from espalier import cards, console
from espalier.catalogue import FAMILIES, addresses, card, load, resolve
from espalier.catalogue import cards as all_cards
from espalier.errors import RecipeError, unknown


def families() -> list[str]:
    """The families that have methods."""
    there = {address.partition("/")[0] for address in addresses()}
    return [family for family in FAMILIES if family in there]


def names() -> list[str]:
    """What `show` knows: every method by its short name, and the options of training."""
    return ["train", *(address.partition("/")[2] for address in addresses())]


def print_methods(out: Console, family: str | None) -> None:
    """Every method (of one family): address, paper, what it does."""
    if family is not None and family not in families():
        raise RecipeError(unknown("family", family, families()))
    console.table(out, [(Text(c.address, "cyan"), Text(c.paper, "dim"), c.title) for c in all_cards(family)])


def print_advice(out: Console, data: str, family: str | None, columns: str | None) -> None:
    """What rows are good for, in five lines."""
    if family not in (None, "objectives"):
        raise RecipeError(f"--for speaks of objectives, not of {family}. Leave {family!r} out.")
    from espalier.advice import advise

    console.facts(out, list(advise(data, columns=columns).lines))


def print_method(out: Console, name: str) -> None:
    """One method: what it says of itself, its options and presets, its paper; or the options of training."""
    if name == "train":
        _print_training(out)
        return
    found = card(name)
    node = _class_of(found, resolve(name))
    console.facts(out, [("method", found.address), *([("paper", _paper(found.paper))] if found.paper else [])])
    out.print()
    out.print(inspect.cleandoc(ast.get_docstring(node) or ""), soft_wrap=True)
    _print_options(out, "options", list(found.options))
    console.facts(out, [(f"preset {preset.name}", line) for preset in found.presets for line in _settings(preset)])


def _print_training(out: Console) -> None:
    file = cards.PACKAGE / "train" / "options.py"
    source = file.read_text(encoding="utf-8")
    tree = ast.parse(source)
    node = next(node for node in tree.body if isinstance(node, ast.ClassDef))
    out.print(ast.get_docstring(node) or "")
    _print_options(out, "options of [train]", list(cards.options_of(node, tree, source).values()))


def _print_options(out: Console, title: str, options: list[cards.Option]) -> None:
    if not options:
        return
    rows = [("  " + o.name, o.type, "required" if o.default is None else o.default, o.comment) for o in options]
    out.print()
    out.print(Text(title, style="bold"))
    console.table(out, [(Text(name, "cyan"), Text(kind, "dim"), *rest) for name, kind, *rest in rows])
    out.print()


def _class_of(found: cards.Card, address: str) -> ast.ClassDef:
    """The class of a method as it stands in its file."""
    if "." in address or ":" in address:
        cls = load(address)
        file, name = Path(inspect.getfile(cls)), cls.__name__
    else:
        file, name = cards.PACKAGE / f"{address}.py", ""
    classes = [n for n in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(n, ast.ClassDef)]
    return next(n for n in classes if n.name == name or (not name and cards.paper_of(n) is not None))


def _settings(preset: cards.Preset) -> Iterator[str]:
    """What a preset sets, a line for each place that says so."""
    for place, group in groupby(preset.settings, key=lambda setting: setting.place):
        settings = ", ".join(f"{setting.name} = {setting.value}" for setting in group)
        yield f"{place}: {settings}" if place else settings


def _paper(paper: str) -> str:
    return f"https://arxiv.org/abs/{paper.removeprefix('arXiv:')}" if paper.startswith("arXiv:") else paper
